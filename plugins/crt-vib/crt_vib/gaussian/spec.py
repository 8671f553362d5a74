"""Spec of the Gaussian bottleneck, free of torch."""

from __future__ import annotations

from typing import ClassVar

import attrs

from crtcore.kinds import BottleneckSpec
from crtcore.spec import at_least


@attrs.frozen(kw_only=True)
class Gaussian(BottleneckSpec):
    """Codes drawn from a Gaussian of learned mean and scale, whose rate is its divergence from a prior.

    Codes are continuous: there are no ids. A regulariser such as `rate` sets the price of the rate.
    Source: Alemi et al. (2017), arXiv:1612.00410; free bits from Kingma et al. (2016), arXiv:1606.04934.
    """

    continuous: ClassVar[bool] = True
    implementation: ClassVar[str] = "crt_vib.gaussian.channel:GaussianChannel"

    width: int = attrs.field(validator=at_least(1))
    """Channels of a feature."""
    latent: int = attrs.field(default=8, validator=at_least(1))
    """Channels of a code."""
    hidden: int = attrs.field(default=0, validator=at_least(0))
    """Units of a hidden layer before mean and scale; at 0 both are linear in the feature."""
    components: int = attrs.field(default=0, validator=at_least(0))
    """Gaussians in the learned prior; at 0 the prior is N(0, I).

    The divergence from one is exact. That from several is estimated at the drawn code, so that the rate of a single
    sample can be less than 0.
    """
    free_bits: float = attrs.field(default=0.0, validator=at_least(0))
    """Nats of a channel, averaged over a batch, up to which its rate has no gradient (lambda in the source).

    Under a prior of several components, nats of the whole code.
    """
