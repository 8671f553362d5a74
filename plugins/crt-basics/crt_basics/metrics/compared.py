"""What a distance compares: equally many samples each, all in the same features of the training data."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from crt_basics.metrics.whitened import Whitened
from crtcore.kinds import Evidence
from crtcore.noise import Noise

FLOORS = 10
"""Draws of training samples that a floor is the mean of: one draw scatters by a tenth of it on the digits."""


class Compared(NamedTuple):
    """Features of as many samples each as there are held-out ones; row i is of, or drawn like, held-out sample i."""

    real: Float[Tensor, "b d"]
    reconstructed: Float[Tensor, "b d"]
    generated: Float[Tensor, "b d"]
    floors: tuple[Float[Tensor, "b d"], ...]
    """Draws of training samples: real data again, without the conditions of the held-out ones."""


def compared(evidence: Evidence, metric: str, *, dimensions: int, least: int) -> Compared:
    """The features of `evidence` for the metric of that name, which needs at least so many samples.

    Raises: ValueError if there are fewer samples, unequally many, or some are not finite.
    """
    count = len(evidence.real)
    if count < least or len(evidence.train) < count:
        raise ValueError(
            f"{metric}: expected at least {least} held-out samples and as many training samples, "
            f"got {count} and {len(evidence.train)}"
        )
    features = Whitened(evidence.train, dimensions)
    for name, other in (("reconstruction", evidence.reconstructed), ("generation", evidence.generated)):
        if len(other) != count:
            raise ValueError(f"{metric}: expected {count} samples for {name}, got {len(other)}")
        if not other.isfinite().all():
            raise ValueError(f"{metric}: expected finite samples for {name}, got some that are not")
    # One stream for every distance: named after the first one, so that its kept floors stay what they are.
    train, noise = features(evidence.train), Noise(0, "floor of the Fréchet distance")
    return Compared(
        features(evidence.real),
        features(evidence.reconstructed),
        features(evidence.generated),
        tuple(train[noise.order(len(train), draw)[:count]] for draw in range(FLOORS)),
    )
