"""Features of the distances: whitened principal components of the training data."""

from __future__ import annotations

import hashlib

import torch
from jaxtyping import Float
from torch import Tensor

_LATEST: dict[tuple[object, ...], Whitened] = {}
"""The latest fit, by what it depends on: every metric of a run has the same training data."""


def whitened(data: Float[Tensor, "b ..."], dimensions: int) -> Whitened:
    """As `Whitened`, fitted once as long as neither the contents of `data` nor `dimensions` change.

    Cost: a hash of `data` where the fit is there, 0.05 s for the 8,000 images below.
    """
    content = data.detach().cpu().contiguous().view(torch.uint8).numpy()
    key = (hashlib.sha256(content.data).digest(), data.dtype, data.device, data.shape, dimensions)
    if key not in _LATEST:
        fit = Whitened(data, dimensions)
        _LATEST.clear()
        _LATEST[key] = fit
    return _LATEST[key]


class Whitened:
    """Projection to the leading principal components of `data`, each scaled to unit variance there.

    Raises: ValueError if the data has fewer components.
    Cost: cubic in the elements of a sample; 8 s on one busy core for 8,000 colour images of 32 by 32.
    """

    def __init__(self, data: Float[Tensor, "b ..."], dimensions: int) -> None:
        flat = data.double().flatten(1)  # b x
        self.mean = flat.mean(0)
        values, vectors = torch.linalg.eigh((flat - self.mean).T.cov())
        keep = values > 1e-10 * values[-1]
        if dimensions > int(keep.sum()):
            raise ValueError(f"expected at most {int(keep.sum())} dimensions for this data, got {dimensions}")
        self.scaled = vectors[:, -dimensions:] / values[-dimensions:].sqrt()

    def __call__(self, data: Float[Tensor, "b ..."]) -> Float[Tensor, "b d"]:
        """The features of `data`."""
        features: Tensor = (data.double().flatten(1) - self.mean) @ self.scaled
        return features
