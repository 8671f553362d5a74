"""Spec of the mixture bottleneck, free of torch."""

from __future__ import annotations

from typing import ClassVar

import attrs

from crtcore.kinds import BottleneckSpec
from crtcore.spec import at_least


@attrs.frozen(kw_only=True)
class Mixture(BottleneckSpec):
    """Codes drawn from Gaussians that all features share; which one is drawn depends on the feature.

    The rate is the divergence of a feature's mixture from a mixture of the same Gaussians with learned weights. With as
    many parts as a discrete variable has codes it holds every discrete channel of that many codes, as the limit of
    parts that are far apart.
    Source: Alemi et al. (2017), arXiv:1612.00410, section 3, for the objective; Bengio, Leonard and Courville
    (2013), arXiv:1308.3432, for the gradient through the choice of a part.
    """

    continuous: ClassVar[bool] = True
    implementation: ClassVar[str] = "crt_vib.mixture.channel:MixtureChannel"

    width: int = attrs.field(validator=at_least(1))
    """Channels of a feature."""
    latent: int = attrs.field(default=4, validator=at_least(1))
    """Channels of a code."""
    hidden: int = attrs.field(default=0, validator=at_least(0))
    """Units of a hidden layer before the logits of parts; at 0 these are linear in the feature."""
    parts: int = attrs.field(default=16, validator=at_least(1))
    """Gaussians of which a code is drawn."""
