"""The price of a rate."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from crt_vib.rate.spec import Rate, RateSquared, RateTarget
from crtcore.kinds import Encoded, Penalty, Tokenizer


class Price:
    """Charges what a function makes of the mean rate of a batch."""

    def __init__(self, charge: Callable[[Tensor], Tensor]) -> None:
        self.charge = charge

    def __call__(self, data: Tensor, encoded: Encoded, progress: float) -> Penalty:
        """The charge; there is nothing of its own to learn.

        Units: of nats, or of their square.
        """
        loss = self.charge(encoded.rate.mean())
        return Penalty(loss, loss.new_zeros(()), {"price": loss.item()})


def plain_rate(_: Rate, __: Tokenizer) -> Price:
    """The rate itself."""
    return Price(lambda rate: rate)


def squared_rate(_: RateSquared, __: Tokenizer) -> Price:
    """The square of the rate."""
    return Price(lambda rate: rate.square())


def distance_to_target(spec: RateTarget, _: Tokenizer) -> Price:
    """How far the rate is from what it is to be."""
    return Price(lambda rate: (rate - spec.target).abs())
