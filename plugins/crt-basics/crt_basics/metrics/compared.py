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
    """Real, reconstructed and generated data of a batch, by the first part of a number's name.

    Raises: ValueError if shapes differ, or some samples are not finite.
    """
    sorts = {"real": batch.real, "reconstruction": batch.reconstructed, "generation": batch.generated}
    for name, data in sorts.items():
        if data.shape != batch.real.shape:
            expected, got = tuple(batch.real.shape), tuple(data.shape)
            raise ValueError(f"{metric}: expected the shape {expected} of the real samples for {name}, got {got}")
        if not data.isfinite().all():
            raise ValueError(f"{metric}: expected finite samples for {name}, got some that are not")
    return sorts


def floors(train: Train) -> Iterator[Int[Tensor, " k"]]:
    """The numbers of the training samples of each draw, as many as there are held-out samples; k of them.

    Real data of other classes than the held-out samples. Row i stands beside held-out sample i.
    """
    # All distances share one noise stream; its name is that of the first, whose kept results depend on it.
    noise = Noise(0, "floor of the Fréchet distance")
    for draw in range(FLOORS):
        yield noise.order(train.samples, draw)[: train.held_out]
