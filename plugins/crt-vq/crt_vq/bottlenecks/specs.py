"""Specs of the bottlenecks, free of torch."""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs

from crtcore.kinds import BottleneckSpec
from crtcore.spec import above, at_least, below, between


@attrs.frozen(kw_only=True)
class VQ(BottleneckSpec):
    """Nearest entry of a learned codebook.

    Source: van den Oord et al. (2017), arXiv:1711.00937, eq. 1 and 3; Yu et al. (2021), arXiv:2110.04627, on cosine.
    """

    implementation: ClassVar[str] = "crt_vq.bottlenecks.codebook:Codebook"

    codes: int = attrs.field(validator=between(2, 2**62))
    """Entries in the codebook."""
    width: int = attrs.field(default=8, validator=at_least(1))
    """Channels of one code."""
    commitment: float = attrs.field(default=0.25, validator=at_least(0))
    """Weight of the commitment loss (beta in the source)."""
    compare: Literal["cosine", "euclidean"] = "cosine"
    """How features and codes are compared: `cosine` scales both to length 1 first."""
    start: Literal["normal", "uniform", "k-means"] = "normal"
    """First entries: normal, uniform from -1/codes to 1/codes, or the k-means centres of the first batch."""
    decay: float = attrs.field(default=0.0, validator=[at_least(0), below(1)])
    """Decay of the moving average of its features that each entry is; at 0 entries learn by gradient."""
    patience: int = attrs.field(default=0, validator=at_least(0))
    """Steps without a feature after which an entry restarts at a random one; at 0 it never does."""
    gradient: Literal["straight", "rotation"] = "straight"
    """How the codes' gradient reaches features: unchanged, or through the rotation and scaling of feature to code."""


@attrs.frozen(kw_only=True)
class SimVQ(BottleneckSpec):
    """Nearest entry of a frozen codebook behind a learned linear map, which moves all codes at once.

    Source: Zhu et al. (2024), arXiv:2411.02038.
    """

    implementation: ClassVar[str] = "crt_vq.bottlenecks.simvq:MappedCodebook"

    codes: int = attrs.field(validator=between(2, 2**62))
    """Entries in the codebook."""
    width: int = attrs.field(default=8, validator=at_least(1))
    """Channels of one code."""
    commitment: float = attrs.field(default=0.25, validator=at_least(0))
    """Weight of the commitment loss."""


@attrs.frozen(kw_only=True)
class ResidualVQ(BottleneckSpec):
    """Several codebooks, each for the residual of those before it: `depth` codes, whose sum approximates a feature.

    Source: Zeghidour et al. (2021), arXiv:2107.03312, section III-C; Lee et al. (2022), arXiv:2203.01941.
    """

    implementation: ClassVar[str] = "crt_vq.bottlenecks.residual_vq:ResidualCodebooks"

    codes: int = attrs.field(validator=between(2, 2**62))
    """Entries in each codebook."""
    width: int = attrs.field(default=8, validator=at_least(1))
    """Channels of one code."""
    depth: int = attrs.field(default=4, validator=at_least(1))
    """Codebooks, and ids for each feature."""
    commitment: float = attrs.field(default=0.25, validator=at_least(0))
    """Weight of the commitment loss."""


@attrs.frozen(kw_only=True)
class BinarySpec(BottleneckSpec):
    """Base of the bottlenecks with one bit for each channel: 2**width codes, none of which is stored."""

    width: int = attrs.field(default=8, validator=between(1, 62))
    """Channels, and bits of an id."""
    commitment: float = attrs.field(default=0.25, validator=at_least(0))
    """Weight of the squared distance from features to their codes."""
    entropy: float = attrs.field(default=0.1, validator=at_least(0))
    """Weight of the entropy of a feature's bits less the entropy of the mean bits."""
    temperature: float = attrs.field(default=1.0, validator=above(0))
    """Temperature of those entropies: a code is e times less likely for each such step in squared distance."""


@attrs.frozen(kw_only=True)
class LFQ(BinarySpec):
    """Lookup-free quantisation: the sign of every channel.

    Source: Yu et al. (2023), arXiv:2310.05737, section 3.1.
    """

    implementation: ClassVar[str] = "crt_vq.bottlenecks.lfq:LookupFreeQuantizer"


@attrs.frozen(kw_only=True)
class BSQ(BinarySpec):
    """Binary spherical quantisation: the sign of every channel of a feature of length 1.

    Source: Zhao et al. (2024), arXiv:2406.07548, section 4.
    """

    implementation: ClassVar[str] = "crt_vq.bottlenecks.bsq:BinarySphericalQuantizer"


@attrs.frozen(kw_only=True)
class Perturbed(BottleneckSpec):
    """Another bottleneck, some of whose codes are swapped for near ones in training, so that decoders tolerate errors.

    Source: Qiu et al. (2025), arXiv:2503.08354, and github.com/lxa9867/ImageFolder, latent_perturbation.py.
    """

    implementation: ClassVar[str] = "crt_vq.bottlenecks.perturbed:PerturbedBottleneck"

    bottleneck: BottleneckSpec
    """The inner bottleneck, with one code for each feature; its losses are computed before any swap."""
    neighbours: int = attrs.field(default=100, validator=at_least(1))
    """Number of nearest codes from which a replacement is drawn, the nearest itself included (delta)."""
    swapped: float = attrs.field(default=0.5, validator=between(0, 1))
    """Probability that a code of a chosen sample is swapped (alpha)."""
    share: float = attrs.field(default=0.1, validator=between(0, 1))
    """Probability that a sample is chosen (beta)."""
