"""Mean and covariance of a reference's features, computed here or read from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from crt_nn.foreign import instead
from crt_run.streams import Moments
from crtcore.errors import RunError, in_one_line

Statistics: TypeAlias = dict[str, Any]
"""`mu` and `sigma`, in float64, as torch-fidelity takes them."""

ROUNDED = 1e-4
"""What a covariance may be from a valid one, as a share of its largest eigenvalue: more than float32 rounds."""


def statistics(moments: Moments) -> Statistics:
    """The mean and the covariance of features."""
    return {"mu": moments.mean.numpy(), "sigma": moments.covariance.numpy()}


def stored(file: str) -> Statistics:
    """Reads moments from an .npz file, such as the reference batches of guided-diffusion.

    Raises: RunError if the file does not exist or has other content.
    """
    if got := instead(Path(file)):
        raise RunError(f"fidelity: references: {file}: expected an .npz file, got {got}")
    try:
        with np.load(file, allow_pickle=False) as arrays:
            mu, sigma = (np.asarray(arrays[name], np.float64) for name in ("mu", "sigma"))
    except Exception as error:  # numpy and zipfile list nothing that they raise about damaged files
        got = f"{in_one_line(error)[:120]}; fetch that file again, or name another"
        raise RunError(
            f"fidelity: references: expected an .npz file with arrays 'mu' and 'sigma' at {file!r}, got {got}"
        ) from error
    finite = np.isfinite(mu).all() and np.isfinite(sigma).all()
    if mu.ndim != 1 or not mu.size or sigma.shape != 2 * mu.shape or not finite:
        raise RunError(
            f"fidelity: references: expected a finite mean and covariance in {file!r}, "
            f"got shapes {mu.shape} and {sigma.shape}"
        )
    variances = np.linalg.eigvalsh(sigma)
    room = ROUNDED * abs(variances).max()
    if abs(sigma - sigma.T).max() > room or variances.min() < -room:
        raise RunError(
            f"fidelity: references: expected a covariance in {file!r}, which is symmetric and has no negative "
            f"eigenvalues, got one of {variances.min():.3g} beside {variances.max():.3g}"
        )
    return {"mu": mu, "sigma": sigma}
