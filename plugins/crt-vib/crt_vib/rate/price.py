"""The price of a rate."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from crtcore.kinds import Encoded, Penalty


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
