"""Training on archives: processes that decode ahead and stops in the middle of an epoch change no result."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from crt_data.packing import example_shards
from crt_run.runs.execute import execute
from crtcore import discover
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.errors import Stopped
from crtcore.kinds import Plan


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def plan(folder: Path, workers: int) -> Plan:
    """A tokenizer of 16 steps: batches of 32 of 158 images, so that an epoch is not a whole number of steps."""
    document: dict[str, Any] = {
        "name": "shards",
        "experiment": {"use": "compression"},
        "dataset": {"use": "image-shards", "folder": str(folder), "size": 8, "workers": workers},
        "tokenizer": {"use": "conv", "channels": 4},
        "bottleneck": {"use": "vq", "codes": 8},
        "training": {"tokenizer": {"steps": 16, "batch": 32, "checkpoint": 5}},
    }
    (point,) = study(Document(document, {}), discover()).points
    return point.plan


def test_workers_and_stops_inside_an_epoch_change_no_result(tmp_path: Path) -> None:
    example_shards(tmp_path / "shards")
    whole = execute(plan(tmp_path / "shards", 0), tmp_path / "whole")
    steps = itertools.count()
    with pytest.raises(Stopped):
        execute(plan(tmp_path / "shards", 2), tmp_path / "stopped", stopping=lambda: next(steps) >= 7)

    resumed = execute(plan(tmp_path / "shards", 1), tmp_path / "stopped")

    assert resumed == whole
