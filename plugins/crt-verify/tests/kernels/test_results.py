"""Results of GPU benches that are kept are of the kernels and the scripts as they are."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from crt_verify.kernels.build import source_hash

RESULTS = Path(__file__).resolve().parents[4] / "bench" / "results"


def stale(folder: Path) -> list[str]:
    """Results that were made with other device code or by another script; none where none were made."""
    return [path.name for path in sorted(folder.glob("gpu-*.json")) if not made_by(path).items() <= told(path).items()]


def made_by(path: Path) -> dict[str, str]:
    """What would make a result now."""
    script = path.parent.parent / "gpu" / f"{path.stem.removeprefix('gpu-')}.py"
    return {"source": source_hash(), "script": hashlib.sha256(script.read_bytes()).hexdigest()[:16]}


def told(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder with a result of the sources as they are."""
    for folder in ("results", "gpu"):
        (tmp_path / folder).mkdir()
    (tmp_path / "gpu" / "new.py").write_text("pass\n")
    path = tmp_path / "results" / "gpu-new.json"
    path.write_text(json.dumps(made_by(path)))
    return path.parent


def test_kept_results_are_of_these_sources() -> None:
    assert not stale(RESULTS), (
        "stale: made with other sources; `tox run -e gpu` on a machine with a GPU makes them again"
    )


def test_a_result_of_these_sources_is_not_stale(results: Path) -> None:
    assert stale(results) == []


@pytest.mark.parametrize("part", ["source", "script"])
def test_a_result_of_other_sources_is_stale(results: Path, part: str) -> None:
    path = results / "gpu-new.json"
    path.write_text(json.dumps(told(path) | {part: "another"}))

    assert stale(results) == ["gpu-new.json"]


def test_where_nothing_has_run_nothing_is_stale(tmp_path: Path) -> None:
    assert stale(tmp_path) == []
