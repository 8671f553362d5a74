"""Fréchet distance in whitened principal components of the training data."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from crtcore.builtin.specs import Frechet
from crtcore.kinds import Evidence, Measurement
from crtcore.noise import Noise


class FrechetDistance:
    """Reconstructions and draws against held-out data, and the floor that real data reach themselves."""

    def __init__(self, spec: Frechet) -> None:
        self.spec = spec

    def __call__(self, evidence: Evidence) -> dict[str, Measurement]:
        """`reconstruction_frechet` and `generation_frechet` against the same held-out samples, and `frechet_floor`.

        The floor is the distance of as many training samples from the held-out ones: the estimate is biased by their
        number, so a distance is to be read against it.
        Raises: ValueError if there are too few samples for the dimensions.
        """
        count = len(evidence.real)
        if count <= self.spec.dimensions or len(evidence.train) < count:
            raise ValueError(
                f"frechet: expected more than {self.spec.dimensions} held-out samples and as many training samples, "
                f"got {count} and {len(evidence.train)}"
            )
        features = Whitened(evidence.train, self.spec.dimensions)
        real = features(evidence.real)
        some = Noise(0, "floor of the Fréchet distance").order(len(evidence.train))[:count]
        others = {
            "reconstruction_frechet": evidence.reconstructed,
            "generation_frechet": evidence.generated,
            "frechet_floor": evidence.train[some],
        }
        return {
            name: Measurement(frechet_distance(real, features(other)), "squared whitened units", count)
            for name, other in others.items()
        }


class Whitened:
    """Projection to the leading principal components of `data`, each scaled to unit variance there."""

    def __init__(self, data: Float[Tensor, "b ..."], dimensions: int) -> None:
        flat = data.double().flatten(1)  # b x
        self.mean = flat.mean(0)
        values, vectors = torch.linalg.eigh((flat - self.mean).T.cov())
        keep = values > 1e-10 * values[-1]
        if dimensions > int(keep.sum()):
            raise ValueError(f"frechet: expected at most {int(keep.sum())} dimensions for this data, got {dimensions}")
        self.scaled = vectors[:, -dimensions:] / values[-dimensions:].sqrt()

    def __call__(self, data: Float[Tensor, "b ..."]) -> Float[Tensor, "b d"]:
        """The features of `data`."""
        features: Tensor = (data.double().flatten(1) - self.mean) @ self.scaled
        return features


def frechet_distance(one: Float[Tensor, "b d"], other: Float[Tensor, "c d"]) -> float:
    """Squared 2-Wasserstein distance of the Gaussians fitted to two collections.

    The trace of the root of a product of covariances comes from the eigenvalues of a symmetric matrix: it is real.
    """
    left, right = one.T.cov(), other.T.cov()
    values, vectors = torch.linalg.eigh(left)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ right @ root).clamp(min=0).sqrt().sum()
    gap = (one.mean(0) - other.mean(0)).square().sum()
    return float((gap + left.trace() + right.trace() - 2 * cross).clamp(min=0))
