"""Regularisers that put a price on the rate."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from crt_nn.ranks import batch_mean
from crt_vib.rate.spec import Rate, RateSquared, RateTarget
from crtcore.kinds import Encoded, RegularizerOutput, Tokenizer


class Price:
    """Adds a function of a batch's mean rate to the loss."""

    def __init__(self, charge: Callable[[Tensor], Tensor]) -> None:
        self.charge = charge

    def __call__(self, data: Tensor, encoded: Encoded, progress: float) -> RegularizerOutput:
        """The price; it has no parameters.

        Units: nats, or squared nats.
        """
        loss = self.charge(batch_mean(encoded.rate))
        return RegularizerOutput(loss, loss.new_zeros(()), {"price": loss.item()})


def plain_rate(_: Rate, __: Tokenizer) -> Price:
    """The rate itself."""
    return Price(lambda rate: rate)


def squared_rate(_: RateSquared, __: Tokenizer) -> Price:
    """The square of the rate."""
    return Price(lambda rate: rate.square())


def distance_to_target(spec: RateTarget, _: Tokenizer) -> Price:
    """The absolute difference of rate and target."""
    return Price(lambda rate: (rate - spec.target).abs())
