"""Specs of the components, free of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import attrs

from crtcore.kinds import BottleneckSpec, RegularizerSpec, TokenizerSpec
from crtcore.settings import Optimizer
from crtcore.spec import FieldError, above, at_least, below, between, divides, each

if TYPE_CHECKING:
    pass


@attrs.frozen(kw_only=True)
class VQ(BottleneckSpec):
    """Nearest entry of a learned codebook.

    Source: van den Oord et al. (2017), arXiv:1711.00937, eq. 1 and 3; Yu et al. (2021), arXiv:2110.04627, on cosine.
    """

    implementation: ClassVar[str] = "crt_vq.codebook:Codebook"

    codes: int = attrs.field(validator=at_least(2))
    """Entries in the codebook."""
    width: int = attrs.field(default=8, validator=at_least(1))
    """Channels of one code."""
    commitment: float = attrs.field(default=0.25, validator=at_least(0))
    """Weight of the commitment loss (beta in the source)."""
    compare: Literal["cosine", "euclidean"] = "cosine"
    """Where features and codes are compared: `cosine` scales both to length 1 first."""
    start: Literal["normal", "uniform", "k-means"] = "normal"
    """First entries: normal, uniform from -1/codes to 1/codes, or centres of the first batch after its step."""
    decay: float = attrs.field(default=0.0, validator=[at_least(0), below(1)])
    """Weight of the past where an entry is the moving average of its features; at 0 entries learn by gradient."""
    patience: int = attrs.field(default=0, validator=at_least(0))
    """Steps without a feature after which an entry moves onto one; at 0 it never does."""
    gradient: Literal["straight", "rotation"] = "straight"
    """How the codes' gradient reaches features: as it is, or turned and scaled as the feature is to become its code."""


@attrs.frozen(kw_only=True)
class SimVQ(BottleneckSpec):
    """Nearest entry of a frozen codebook behind one linear map that learns, so that no code is left behind.

    Source: Zhu et al. (2024), arXiv:2411.02038.
    """

    implementation: ClassVar[str] = "crt_vq.mapped:MappedCodebook"

    codes: int = attrs.field(validator=at_least(2))
    """Entries in the codebook."""
    width: int = attrs.field(default=8, validator=at_least(1))
    """Channels of one code."""
    commitment: float = attrs.field(default=0.25, validator=at_least(0))
    """Weight of the loss that moves features."""


@attrs.frozen(kw_only=True)
class ResidualVQ(BottleneckSpec):
    """Several codebooks, each for what those before it left over: `depth` codes a feature, whose sum is near it.

    Source: Zeghidour et al. (2021), arXiv:2107.03312, section III-C; Lee et al. (2022), arXiv:2203.01941.
    """

    implementation: ClassVar[str] = "crt_vq.residual:ResidualCodebooks"

    codes: int = attrs.field(validator=at_least(2))
    """Entries in each codebook."""
    width: int = attrs.field(default=8, validator=at_least(1))
    """Channels of one code."""
    depth: int = attrs.field(default=4, validator=at_least(1))
    """Codebooks, and so ids a feature."""
    commitment: float = attrs.field(default=0.25, validator=at_least(0))
    """Weight of the loss that moves features."""


@attrs.frozen(kw_only=True)
class BinarySpec(BottleneckSpec):
    """Base of the bottlenecks that keep one bit a channel: 2**width codes, none of which is stored."""

    width: int = attrs.field(default=8, validator=between(1, 62))
    """Channels, and so bits of an id."""
    commitment: float = attrs.field(default=0.25, validator=at_least(0))
    """Weight of the squared distance from features to their codes."""
    entropy: float = attrs.field(default=0.1, validator=at_least(0))
    """Weight of the entropy of a feature's bits less the entropy of the mean bits."""
    temperature: float = attrs.field(default=1.0, validator=above(0))
    """Squared distance at which a code is e times less likely than the nearest, in those entropies."""


@attrs.frozen(kw_only=True)
class LFQ(BinarySpec):
    """Lookup-free quantisation: the sign of every channel.

    Source: Yu et al. (2023), arXiv:2310.05737, section 3.1.
    """

    implementation: ClassVar[str] = "crt_vq.cube:Cube"


@attrs.frozen(kw_only=True)
class BSQ(BinarySpec):
    """Binary spherical quantisation: the sign of every channel of a feature of length 1.

    Source: Zhao et al. (2024), arXiv:2406.07548, section 4.
    """

    implementation: ClassVar[str] = "crt_vq.sphere:Sphere"


@attrs.frozen(kw_only=True)
class Perturbed(BottleneckSpec):
    """Another bottleneck, some of whose codes are swapped for near ones in training: a decoder learns to bear them.

    Source: Qiu et al. (2025), arXiv:2503.08354, and github.com/lxa9867/ImageFolder, latent_perturbation.py.
    """

    implementation: ClassVar[str] = "crt_vq.perturbed:NearbySwaps"

    bottleneck: BottleneckSpec
    """The other bottleneck, with one code for each feature; its losses are taken before any swap."""
    neighbours: int = attrs.field(default=100, validator=at_least(1))
    """Codes nearest to a feature that its own is swapped for one of, the nearest itself among them (delta)."""
    swapped: float = attrs.field(default=0.5, validator=between(0, 1))
    """Probability that a code of a chosen sample is swapped (alpha)."""
    share: float = attrs.field(default=0.1, validator=between(0, 1))
    """Probability that a sample is chosen (beta)."""


@attrs.frozen(kw_only=True)
class Conv(TokenizerSpec):
    """A small convolutional tokenizer of images."""

    implementation: ClassVar[str] = "crt_vq.convolutional:conv"
    form: ClassVar[str] = "image"

    channels: int = attrs.field(default=32, validator=at_least(1))
    """Hidden channels, the same at every scale."""
    halvings: int = attrs.field(default=1, validator=at_least(1))
    """Times that height and width are halved: a sample has an id for each 2**halvings by 2**halvings pixels."""
    blocks: int = attrs.field(default=1, validator=at_least(0))
    """Residual blocks a scale, in the encoder and in the decoder."""


@attrs.frozen(kw_only=True)
class VQGAN(TokenizerSpec):
    """The convolutional tokenizer of VQGAN, in the sizes of LlamaGen: VQ-16 as it is, VQ-8 with `[1, 2, 2, 4]`.

    Source: Sun et al. (2024), arXiv:2406.06525, section 2.1; Esser et al. (2020), arXiv:2012.09841, appendix.
    """

    implementation: ClassVar[str] = "crt_vq.vqgan:vqgan"
    form: ClassVar[str] = "image"

    channels: int = attrs.field(default=128, validator=at_least(1))
    """Hidden channels of the first level."""
    multipliers: tuple[int, ...] = attrs.field(default=(1, 1, 2, 2, 4), validator=each(at_least(1)))
    """How many times these each level has; height and width are halved between levels."""
    blocks: int = attrs.field(default=2, validator=at_least(1))
    """Residual blocks a level in the encoder, one less than in the decoder."""
    latent: int = attrs.field(default=256, validator=at_least(1))
    """Channels beside the bottleneck, before they are mapped to its own (z_channels in the source)."""
    loss: Literal["l2", "l1"] = "l2"
    """Squared or absolute error of a pixel; the distortion that is recorded is squared in any case."""

    @property
    def halvings(self) -> int:
        """Times that height and width are halved."""
        return len(self.multipliers) - 1


def _permutation(_: Any, attribute: attrs.Attribute[Any], order: tuple[int, ...]) -> None:
    if sorted(order) != list(range(len(order))):
        raise FieldError(attribute.name, f"expected each number from 0 to {len(order) - 1} once, got {order!r}")


@attrs.frozen(kw_only=True)
class ForesightSpec(RegularizerSpec):
    """Base of the regularisers whose head foretells every code of a sample from the latents before it."""

    optimizer: Optimizer = attrs.field(default=Optimizer(learning_rate=3e-3))
    """The optimiser of the head, which has to keep up with latents that move."""
    first: Literal["skip", "learned"] = "skip"
    """The first code is not foretold, or foretold from a latent that is learned (and knows no class)."""
    order: tuple[int, ...] = attrs.field(default=(), validator=_permutation)
    """Every position of a sample in the order of foretelling, which should be stage 2's; empty is raster order."""
    layers: int = attrs.field(default=2, validator=at_least(0))
    """Blocks of the transformer (2 is CRT's best of 0 to 12); at 0 the head is a linear map of the latent before."""
    width: int = attrs.field(default=32, validator=at_least(1))
    """Width of the transformer."""
    heads: int = attrs.field(default=4, validator=divides("width"))
    """Attention heads."""
    start: float = attrs.field(default=0.0, validator=between(0, 1))
    """Fraction of training before which the tokenizer sees nothing; the head learns from the first step."""
    ramp: float = attrs.field(default=0.05, validator=between(0, 1))
    """Fraction of training over which the weight then rises linearly from 0."""

    def rise(self, progress: float) -> float:
        """The share of the weight that counts at `progress`."""
        if progress < self.start:
            return 0.0
        return min((progress - self.start) / self.ramp, 1.0) if self.ramp else 1.0


def _has_channels(spec: Causal, attribute: attrs.Attribute[Any], reduction: str) -> None:
    allowed = {"l2": ("mean", "sum", "norm"), "cosine": ("mean",), "nll": ("mean", "sum")}.get(spec.error, ())
    if reduction not in allowed:
        expected = " or ".join(map(repr, allowed))
        raise FieldError(attribute.name, f"expected {expected} where the error is {spec.error!r}, got {reduction!r}")


@attrs.frozen(kw_only=True)
class Causal(ForesightSpec):
    """Causal regularisation (CRT): a small head predicts each latent from those before it.

    Source: Ramanujan et al. (2024), arXiv:2412.16326; of what it leaves open, the defaults are best supported.
    """

    implementation: ClassVar[str] = "crt_vq.causal:causal"

    space: Literal["compared", "raw", "straight-through"] = "compared"
    """Where latents are predicted: features as they are compared with codes, `raw` as the encoder gives them, or codes.

    Beware of `raw` where codes are compared by cosine: no other loss bounds the length of features, so the encoder can
    shrink them until there is no error, without a change in one id or in what stage 2 has to learn.
    """
    error: Literal["l2", "cosine", "nll"] = "l2"
    """Squared distance to the latent, 1 less the cosine, or its surprise under a Gaussian of independent channels."""
    reduction: Literal["mean", "sum", "norm"] = attrs.field(default="mean", validator=_has_channels)
    """Mean or sum over a latent's channels; `norm` is `l2`'s distance itself, and a cosine has nothing to sum."""
    detach: Literal["none", "target", "input"] = "none"
    """What gets no gradient: `target` leaves the context to carry what follows, `input` the latents to be foreseen."""


@attrs.frozen(kw_only=True)
class CausalCE(ForesightSpec):
    """Causal regularisation by cross-entropy: a small head says how likely each id is, from the latents before it.

    Source: Wang et al. (2024), arXiv:2410.21264 (LARP, whose weight is 0.06), without its stochastic quantiser and
    scheduled sampling; logits are a linear map, as in github.com/mahdip72/vq_encoder_decoder, not products with codes.
    """

    implementation: ClassVar[str] = "crt_vq.causal_ce:causal_ce"

    space: Literal["compared", "raw", "straight-through"] = "straight-through"
    """What the head reads: features as they are compared with codes, `raw` as the encoder gives them, or codes."""


@attrs.frozen(kw_only=True)
class Perceptual(RegularizerSpec):
    """Distance of reconstructions to images in the features of VGG16, weighed as people see it (LPIPS).

    Source: Zhang et al. (2018), arXiv:1801.03924.
    """

    implementation: ClassVar[str] = "crt_vq.perceptual:perceptual"

    weights: str = ""
    """Folder with torchvision's `vgg16-397923af.pth` and lpips' `vgg.pth`; without, a fixed random network is taken."""
    stages: int = attrs.field(default=5, validator=between(1, 5))
    """Stages of the network that are compared: all, or the first few, as images under 16 by 16 need it."""


@attrs.frozen(kw_only=True)
class Adversarial(RegularizerSpec):
    """A patch discriminator that learns to tell reconstructions from images, and what it gives the tokenizer to learn.

    Source: Esser et al. (2020), arXiv:2012.09841, section 3.1; the defaults are LlamaGen's, arXiv:2406.06525.
    """

    implementation: ClassVar[str] = "crt_vq.adversarial:Adversary"

    weight: float = attrs.field(default=0.5, validator=at_least(0))
    """Multiplies the loss that the tokenizer sees; 0 leaves the tokenizer bit for bit alone."""
    optimizer: Optimizer = attrs.field(default=Optimizer(learning_rate=1e-4, warmup=0.0, decay="constant", beta2=0.95))
    """The optimiser of the discriminator."""
    layers: int = attrs.field(default=3, validator=at_least(1))
    """Times that the discriminator halves an image."""
    channels: int = attrs.field(default=64, validator=at_least(1))
    """Hidden channels of its first layer."""
    start: float = attrs.field(default=0.05, validator=between(0, 1))
    """Fraction of training before which neither side learns from the other."""
    adaptive: bool = False
    """Scales the loss until its gradient is as large as that of the tokenizer's own, both at the last layer's weight.

    The source counts perceptual losses to the tokenizer's own; here those of other regularisers are left out.
    """
