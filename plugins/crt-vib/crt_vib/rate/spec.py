"""Specs of the objectives that put a price on the rate, free of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from crtcore.kinds import RegularizerSpec
from crtcore.spec import at_least

if TYPE_CHECKING:
    pass


@attrs.frozen(kw_only=True)
class Rate(RegularizerSpec):
    """The mean rate of a batch; `weight` is beta: the nats of distortion that one of rate is worth.

    Source: Alemi et al. (2017), arXiv:1612.00410, eq. 17; Higgins et al. (2017), beta-VAE.
    """

    implementation: ClassVar[str] = "crt_vib.rate.price:plain_rate"


@attrs.frozen(kw_only=True)
class RateSquared(RegularizerSpec):
    """The square of the mean rate of a batch, for targets that are a function of the data.

    Their frontier is a straight line, of which `rate` finds the two ends alone; each weight of this finds a point.
    Source: Kolchinsky, Tracey and Van Kuyk (2019), arXiv:1808.07593.
    """

    implementation: ClassVar[str] = "crt_vib.rate.price:squared_rate"


@attrs.frozen(kw_only=True)
class RateTarget(RegularizerSpec):
    """How far the mean rate of a batch is from a target: one run for one rate."""

    implementation: ClassVar[str] = "crt_vib.rate.price:distance_to_target"

    target: float = attrs.field(validator=at_least(0))
    """Nats of a sample."""
