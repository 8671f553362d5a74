"""A small run of toys, and the files of a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crt_laws.toy_studies import REGISTRY
from crt_run.cli import parts
from crt_run.loading import plans
from crt_run.loading.loaded import LoadedRun, load_run
from crt_run.runs.execute import execute
from crtcore.kinds import Plan


@pytest.fixture
def run(toy_plan: Callable[..., Plan], runs: Path, monkeypatch: pytest.MonkeyPatch) -> LoadedRun:
    """A small run, with 40 held-out samples in its evaluation."""
    monkeypatch.setattr(plans, "discover", lambda: REGISTRY)
    monkeypatch.setattr(parts, "discover", lambda: REGISTRY)
    short = ("training.tokenizer.steps=2", "training.prior.steps=2", "experiment.samples=40")
    execute(toy_plan("metric=[{use='code-length'}, {use='frechet', dimensions=4}]", *short), runs)
    return load_run("toy", runs)


@pytest.fixture
def content() -> Callable[[Path], dict[str, bytes]]:
    """Reads the files of a folder, but its lock."""
    return lambda folder: {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix != ".lock"}
