"""The benches of `bench/gpu`, to be imported by name, with a CPU in place of a GPU."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench" / "gpu"))
os.environ["CRT_GPU_REHEARSED"] = "1"  # machine.here, which is asked once


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of results, in place of `bench/results`."""
    folder = tmp_path / "results"
    monkeypatch.setenv("CRT_GPU_RESULTS", str(folder))
    monkeypatch.delenv("CRT_GPU_OUT", raising=False)
    return folder
