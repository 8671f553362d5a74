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


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mu": np.zeros(2)}, "expected an .npz file with arrays 'mu' and 'sigma' at"),
        ({"mu": np.zeros(2), "sigma": np.eye(3)}, r"expected a finite .* shapes \(2,\) and \(3, 3\)"),
        ({"mu": np.full(2, np.nan), "sigma": np.eye(2)}, "expected a finite mean and covariance"),
        ({"mu": np.array([{}], dtype=object), "sigma": np.eye(1)}, "expected an .npz file .* allow_pickle=False"),
    ],
    ids=["no covariance", "other sizes", "not finite", "pickled objects"],
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
