"""Spec of the mixture bottleneck, free of torch."""

from __future__ import annotations

from typing import ClassVar

import attrs

from crtcore.kinds import BottleneckSpec
from crtcore.spec import at_least


@attrs.frozen(kw_only=True)
class Mixture(BottleneckSpec):
    """Codes drawn from a mixture of Gaussians, whose rate is its divergence from a learned mixture.

    Means, scales and weights depend on the feature. With one part it is `gaussian` under a learned mixture. With as
    many parts as a discrete variable has codes it holds every discrete channel of that many codes, as the limit of
    parts that are far apart.
    Source: Alemi et al. (2017), arXiv:1612.00410, section 3, for the objective; Figurnov, Mohamed and Mnih (2018),
    arXiv:1805.08498, section 4, and Graves (2016), arXiv:1607.05690, for gradients through the choice of a part.
    """

    continuous: ClassVar[bool] = True
    implementation: ClassVar[str] = "crt_vib.mixture.channel:MixtureChannel"

    width: int = attrs.field(validator=at_least(1))
    """Channels of a feature."""
    latent: int = attrs.field(default=4, validator=at_least(1))
    """Channels of a code."""
    hidden: int = attrs.field(default=0, validator=at_least(0))
    """Units of a hidden layer before means, scales and weights; at 0 all are linear in the feature."""
    parts: int = attrs.field(default=16, validator=at_least(1))
    """Gaussians of which a feature's code is drawn."""
    components: int = attrs.field(default=16, validator=at_least(1))
    """Gaussians in the learned prior."""
