"""Fréchet distance in whitened principal components of the training data."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from crt_basics.metrics.compared import compared
from crt_basics.metrics.specs import Frechet
from crtcore.kinds import Evidence, Measurement


class FrechetDistance:
    """Scores reconstructions and draws against held-out data, next to the floor that real data reach."""

    def __init__(self, spec: Frechet) -> None:
        self.spec = spec

    def __call__(self, evidence: Evidence) -> dict[str, Measurement]:
        """`reconstruction_frechet` and `generation_frechet` against the same held-out samples, and `frechet_floor`.

        The estimate is biased by the number of samples, so all have equally many. The floor is the distance of training
        samples from the held-out ones, a reference for `generation_frechet`. It is no floor for reconstructions, which
        show the held-out samples themselves: perfect ones reach 0. Draws have the classes of the held-out samples,
        which training samples do not, so perfect draws end slightly below the floor.
        Raises: ValueError if there are too few samples for the dimensions, numbers differ, or some are not finite.
        """
        real, reconstructed, drawn, floors = compared(
            evidence, "frechet", dimensions=self.spec.dimensions, least=self.spec.dimensions + 1
        )
        values = {
            "reconstruction_frechet": frechet_distance(real, reconstructed),
            "generation_frechet": frechet_distance(real, drawn),
            "frechet_floor": sum(frechet_distance(real, floor) for floor in floors) / len(floors),
        }
        return {name: Measurement(value, "squared whitened units", len(real)) for name, value in values.items()}


def frechet_distance(one: Float[Tensor, "b d"], other: Float[Tensor, "c d"]) -> float:
    """Squared 2-Wasserstein distance of the Gaussians fitted to two collections.

    With R the triangular root of a covariance, the trace of the root of the product of two covariances is the nuclear
    norm of R R'ᵀ. No covariance is formed and no root is taken of a rounded zero: singular ones lose no digits.
    """
    left, right = _root(one), _root(other)
    cross = torch.linalg.matrix_norm(left @ right.T, "nuc")
    gap = (one.mean(0) - other.mean(0)).square().sum()
    return float((gap + left.square().sum() + right.square().sum() - 2 * cross).clamp(min=0))


def _root(data: Float[Tensor, "b d"]) -> Float[Tensor, "r d"]:
    """R such that Rᵀ R is the covariance of `data`."""
    root: Tensor = torch.linalg.qr((data - data.mean(0)) / (len(data) - 1) ** 0.5, "r").R
    return root
