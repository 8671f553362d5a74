"""Specs of the regularisers that put a price on the rate, free of torch."""

from __future__ import annotations

from typing import ClassVar

import attrs

from crtcore.kinds import RegularizerSpec
from crtcore.spec import at_least


@attrs.frozen(kw_only=True)
class Rate(RegularizerSpec):
    """The mean rate of a batch; `weight` is beta, the price of a nat of rate in nats of distortion.

    Source: Alemi et al. (2017), arXiv:1612.00410, eq. 17; Higgins et al. (2017), beta-VAE.
    """

    implementation: ClassVar[str] = "crt_vib.rate.price:plain_rate"


@attrs.frozen(kw_only=True)
class RateSquared(RegularizerSpec):
    """The square of the mean rate of a batch, for targets that are a function of the data.

    Their frontier is a straight line, of which `rate` reaches only the two ends; each weight of this reaches a point.
    Source: Kolchinsky, Tracey and Van Kuyk (2019), arXiv:1808.07593.
    """

    implementation: ClassVar[str] = "crt_vib.rate.price:squared_rate"


@attrs.frozen(kw_only=True)
class RateTarget(RegularizerSpec):
    """The absolute difference of the mean rate of a batch and a target: one run for one rate."""

    implementation: ClassVar[str] = "crt_vib.rate.price:distance_to_target"

    target: float = attrs.field(validator=at_least(0))
    """Rate of a sample, in nats."""
