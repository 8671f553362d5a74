"""Spec of the Gaussian bottleneck, free of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from crtcore.kinds import BottleneckSpec
from crtcore.spec import at_least

if TYPE_CHECKING:
    pass


@attrs.frozen(kw_only=True)
class Gaussian(BottleneckSpec):
    """A Gaussian about a learned mean, of a learned width in each channel, whose rate is its divergence from a prior.

    Its codes are continuous: there are no ids. What the rate costs is said by a regulariser such as `rate`.
    Source: Alemi et al. (2017), arXiv:1612.00410; free bits from Kingma et al. (2016), arXiv:1606.04934.
    """

    implementation: ClassVar[str] = "crt_vib.gaussian.channel:GaussianChannel"

    width: int = attrs.field(validator=at_least(1))
    """Channels of a feature."""
    latent: int = attrs.field(default=8, validator=at_least(1))
    """Channels of a code."""
    hidden: int = attrs.field(default=0, validator=at_least(0))
    """Units of a hidden layer before mean and width; at 0 both are linear in the feature."""
    components: int = attrs.field(default=0, validator=at_least(0))
    """Gaussians in the learned prior; at 0 it is N(0, I), which learns nothing.

    One has an exact divergence; that from several is estimated with the very code that is let through, so that the rate
    of a single sample can be less than 0.
    """
    free_bits: float = attrs.field(default=0.0, validator=at_least(0))
    """Nats of a channel, in the mean over a batch, under which its rate has no gradient (lambda in the source).

    Under a prior of several components, of the code as a whole.
    """
