"""Specs of the objectives that put a price on the rate, free of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from crtcore.kinds import RegularizerSpec, Tokenizer
from crtcore.spec import at_least

if TYPE_CHECKING:
    from crt_vib.rate.price import Price


@attrs.frozen(kw_only=True)
class Rate(RegularizerSpec):
    """The mean rate of a batch; `weight` is beta: the nats of distortion that one of rate is worth.

    Source: Alemi et al. (2017), arXiv:1612.00410, eq. 17; Higgins et al. (2017), beta-VAE.
    """

    def build(self, tokenizer: Tokenizer) -> Price:
        """The objective; it has no parameters."""
        from crt_vib.rate.price import Price

        return Price(lambda rate: rate)


@attrs.frozen(kw_only=True)
class RateSquared(RegularizerSpec):
    """The square of the mean rate of a batch, for targets that are a function of the data.

    Their frontier is a straight line, of which `rate` finds the two ends alone; each weight of this finds a point.
    Source: Kolchinsky, Tracey and Van Kuyk (2019), arXiv:1808.07593.
    """

    def build(self, tokenizer: Tokenizer) -> Price:
        """The objective; it has no parameters."""
        from crt_vib.rate.price import Price

        return Price(lambda rate: rate.square())


@attrs.frozen(kw_only=True)
class RateTarget(RegularizerSpec):
    """How far the mean rate of a batch is from a target: one run for one rate."""

    target: float = attrs.field(validator=at_least(0))
    """Nats of a sample."""

    def build(self, tokenizer: Tokenizer) -> Price:
        """The objective; it has no parameters."""
        from crt_vib.rate.price import Price

        return Price(lambda rate: (rate - self.target).abs())
