"""What a distance compares: equally many samples of each sort, in the same features of the training data."""

from __future__ import annotations

from collections.abc import Iterator

from jaxtyping import Float, Int
from torch import Tensor

from crtcore.kinds import Evidence, Train
from crtcore.noise import Noise

FLOORS = 10
"""Draws of training samples whose distances a floor averages; on the digits one draw varies by a tenth of it."""


def check_sizes(train: Train, metric: str, least: int) -> None:
    """Raises: ValueError if the metric called `metric` needs more samples."""
    if train.held_out < least or train.samples < train.held_out:
        raise ValueError(
            f"{metric}: expected at least {least} held-out samples and as many training samples, "
            f"got {train.held_out} and {train.samples}"
        )


def compared(batch: Evidence, metric: str) -> dict[str, Float[Tensor, "b ..."]]:
    """Reconstructed and generated data of a batch, by the first part of a number's name.

    Raises: ValueError if numbers of samples differ, or some are not finite.
    """
    others = {"reconstruction": batch.reconstructed, "generation": batch.generated}
    for name, other in others.items():
        if len(other) != len(batch.real):
            raise ValueError(f"{metric}: expected {len(batch.real)} samples for {name}, got {len(other)}")
        if not other.isfinite().all():
            raise ValueError(f"{metric}: expected finite samples for {name}, got some that are not")
    return others


def floors(train: Train) -> Iterator[Int[Tensor, " k"]]:
    """The numbers of the training samples of each draw, as many as there are held-out samples; k of them.

    Real data of other classes than the held-out samples. Row i stands beside held-out sample i.
    """
    # All distances share one noise stream; its name is that of the first, whose kept results depend on it.
    noise = Noise(0, "floor of the Fréchet distance")
    for draw in range(FLOORS):
        yield noise.order(train.samples, draw)[: train.held_out]
