"""Stored statistics: the content of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crt_fidelity.moments import stored
from crtcore.errors import RunError


def test_mean_and_covariance_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", mu=np.float32([1, 2]), sigma=np.eye(2), arr_0=np.zeros(3))

    moments = stored(str(tmp_path / "x.npz"))

    assert moments["mu"].tolist() == [1, 2]
    assert moments["mu"].dtype == moments["sigma"].dtype == np.float64


def test_a_singular_covariance_of_single_precision_is_valid(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((20, 100))
    np.savez(tmp_path / "x.npz", mu=rows.mean(0), sigma=np.cov(rows, rowvar=False).astype(np.float32))

    assert np.linalg.eigvalsh(stored(str(tmp_path / "x.npz"))["sigma"]).min() < -1e-9


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mu": np.zeros(2)}, "expected an .npz file with arrays 'mu' and 'sigma' at"),
        ({"mu": np.zeros(2), "sigma": np.eye(3)}, r"expected a finite .* shapes \(2,\) and \(3, 3\)"),
        ({"mu": np.full(2, np.nan), "sigma": np.eye(2)}, "expected a finite mean and covariance"),
        ({"mu": np.zeros(0), "sigma": np.zeros((0, 0))}, r"expected a finite .* shapes \(0,\) and \(0, 0\)"),
        ({"mu": np.zeros(2), "sigma": -np.eye(2)}, "expected a covariance in .* negative eigenvalues, got one of -1"),
        ({"mu": np.zeros(2), "sigma": np.array([[1, 0.5], [0, 1]])}, "expected a covariance in .* symmetric"),
        ({"mu": np.array([{}], dtype=object), "sigma": np.eye(1)}, "expected an .npz file .* allow_pickle=False"),
    ],
    ids=["no covariance", "other sizes", "not finite", "empty", "negative", "one-sided", "pickled objects"],
)
def test_other_arrays_are_refused(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **arrays)

    with pytest.raises(RunError, match=f"fidelity: references: {message}"):
        stored(str(tmp_path / "x.npz"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"x\.npz: expected an \.npz file, got no such file; put it there"),
        (b"", r"x\.npz: expected an \.npz file, got an empty one; fetch the file again"),
        (
            b"PK\x03\x04 and no more",
            r"expected an \.npz file with arrays 'mu' and 'sigma' at '.*x\.npz', got BadZipFile",
        ),
    ],
    ids=["none", "empty", "broken"],
)
def test_a_file_that_is_not_valid_is_refused(content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "x.npz").write_bytes(content)

    with pytest.raises(RunError, match=message):
        stored(str(tmp_path / "x.npz"))
