"""Fréchet distance in whitened principal components of the training data."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from crt_basics.metrics.compared import compared
from crt_basics.metrics.specs import Frechet
from crtcore.kinds import Evidence, Measurement


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
        found = compared(evidence, "frechet", dimensions=self.spec.dimensions, least=self.spec.dimensions + 1)
        values = {
            "reconstruction_frechet": frechet_distance(found.real, found.reconstructed),
            "generation_frechet": frechet_distance(found.real, found.generated),
            "frechet_floor": sum(frechet_distance(found.real, drawn) for drawn in found.floors) / len(found.floors),
        }
        return {name: Measurement(value, "squared whitened units", len(found.real)) for name, value in values.items()}


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
