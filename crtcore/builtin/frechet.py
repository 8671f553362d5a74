"""Fréchet distance in whitened principal components of the training data."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from crtcore.builtin.specs import Frechet
from crtcore.builtin.whitened import Whitened
from crtcore.kinds import Evidence, Measurement
from crtcore.noise import Noise

FLOORS = 10
"""Draws of training samples that the floor is the mean of: one draw scatters by a tenth of it on the digits."""


class FrechetDistance:
    """Reconstructions and draws against held-out data, and the floor that real data reach themselves."""

    def __init__(self, spec: Frechet) -> None:
        self.spec = spec

    def __call__(self, evidence: Evidence) -> dict[str, Measurement]:
        """`reconstruction_frechet` and `generation_frechet` against the same held-out samples, and `frechet_floor`.

        All are of equally many samples, as the estimate is biased by their number. The floor is the distance of
        training samples from the held-out ones, for `generation_frechet` to be read against. It is none for
        reconstructions: they are of the very samples they are compared with, and perfect ones reach 0. Draws share the
        conditions of the held-out samples, which training samples do not, so perfect draws end slightly below it.
        Raises: ValueError if there are too few samples for the dimensions, unequally many, or some are not finite.
        """
        count = len(evidence.real)
        if count <= self.spec.dimensions or len(evidence.train) < count:
            raise ValueError(
                f"frechet: expected more than {self.spec.dimensions} held-out samples and as many training samples, "
                f"got {count} and {len(evidence.train)}"
            )
        features = Whitened(evidence.train, self.spec.dimensions)
        real = features(evidence.real)
        others = {"reconstruction_frechet": evidence.reconstructed, "generation_frechet": evidence.generated}
        values = {}
        for name, other in others.items():
            if len(other) != count:
                raise ValueError(f"frechet: expected {count} samples for {name}, got {len(other)}")
            if not other.isfinite().all():
                raise ValueError(f"frechet: expected finite samples for {name}, got some that are not")
            values[name] = frechet_distance(real, features(other))
        train, noise = features(evidence.train), Noise(0, "floor of the Fréchet distance")
        draws = (train[noise.order(len(train), draw)[:count]] for draw in range(FLOORS))
        values["frechet_floor"] = sum(frechet_distance(real, drawn) for drawn in draws) / FLOORS
        return {name: Measurement(value, "squared whitened units", count) for name, value in values.items()}


def frechet_distance(one: Float[Tensor, "b d"], other: Float[Tensor, "c d"]) -> float:
    """Squared 2-Wasserstein distance of the Gaussians fitted to two collections.

    With R the triangular root of a covariance, the trace of the root of the product of two is the sum of the singular
    values of R R'ᵀ. No covariance is formed and no root taken of a rounded zero, so singular ones lose no digits.
    """
    left, right = _root(one), _root(other)
    cross = torch.linalg.matrix_norm(left @ right.T, "nuc")
    gap = (one.mean(0) - other.mean(0)).square().sum()
    return float((gap + left.square().sum() + right.square().sum() - 2 * cross).clamp(min=0))


def _root(data: Float[Tensor, "b d"]) -> Float[Tensor, "r d"]:
    """R, of which Rᵀ R is the covariance of `data`."""
    root: Tensor = torch.linalg.qr((data - data.mean(0)) / (len(data) - 1) ** 0.5, "r").R
    return root
