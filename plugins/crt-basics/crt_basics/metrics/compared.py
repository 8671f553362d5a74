"""What a distance compares: equally many samples of each sort, in the same features of the training data."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from crt_basics.metrics.whitened import whitened
from crtcore.kinds import Evidence
from crtcore.noise import Noise

FLOORS = 10
"""Draws of training samples whose distances a floor averages; on the digits one draw varies by a tenth of it."""


class Compared(NamedTuple):
    """Features of equally many samples; row i belongs to held-out sample i, or is generated for its class."""

    real: Float[Tensor, "b d"]
    reconstructed: Float[Tensor, "b d"]
    generated: Float[Tensor, "b d"]
    floors: tuple[Float[Tensor, "b d"], ...]
    """Draws of training samples: real data of other classes than the held-out samples."""


def compared(evidence: Evidence, metric: str, *, dimensions: int, least: int) -> Compared:
    """The features of `evidence` for the metric called `metric`, which needs at least `least` samples.

    Raises: ValueError if there are fewer samples, numbers of samples differ, or some are not finite.
    """
    count = len(evidence.real)
    if count < least or len(evidence.train) < count:
        raise ValueError(
            f"{metric}: expected at least {least} held-out samples and as many training samples, "
            f"got {count} and {len(evidence.train)}"
        )
    features = whitened(evidence.train, dimensions)
    for name, other in (("reconstruction", evidence.reconstructed), ("generation", evidence.generated)):
        if len(other) != count:
            raise ValueError(f"{metric}: expected {count} samples for {name}, got {len(other)}")
        if not other.isfinite().all():
            raise ValueError(f"{metric}: expected finite samples for {name}, got some that are not")
    # All distances share one noise stream; its name is that of the first, whose kept results depend on it.
    train, noise = features(evidence.train), Noise(0, "floor of the Fréchet distance")
    return Compared(
        features(evidence.real),
        features(evidence.reconstructed),
        features(evidence.generated),
        tuple(train[noise.order(len(train), draw)[:count]] for draw in range(FLOORS)),
    )
