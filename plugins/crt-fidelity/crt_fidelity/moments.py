"""Mean and covariance of a reference's features, computed here or read from a file.

Axes: b batch, d features.
"""

from __future__ import annotations

import zipfile
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics

from crtcore.errors import RunError

Moments: TypeAlias = dict[str, Any]
"""`mu` and `sigma`, in float64."""


def moments(features: Float[Tensor, "b d"]) -> Moments:
    """Computes the moments of `features`."""
    return {name: np.asarray(value, np.float64) for name, value in fid_features_to_statistics(features).items()}


def stored(file: str) -> Moments:
    """Reads moments from an .npz file, such as the reference batches of guided-diffusion.

    Raises: RunError if the file does not exist or has other content.
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            mu, sigma = (np.asarray(arrays[name], np.float64) for name in ("mu", "sigma"))
    except (OSError, EOFError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise RunError(
            f"fidelity: references: expected an .npz file with arrays 'mu' and 'sigma' at {file!r}, got {error}"
        ) from error
    if mu.ndim != 1 or sigma.shape != 2 * mu.shape or not (np.isfinite(mu).all() and np.isfinite(sigma).all()):
        raise RunError(
            f"fidelity: references: expected a finite mean and covariance in {file!r}, "
            f"got shapes {mu.shape} and {sigma.shape}"
        )
    return {"mu": mu, "sigma": sigma}
