"""Results of GPU benches that are kept are of the kernels as they are."""

from __future__ import annotations

import json
from pathlib import Path

from crt_verify.kernels.build import source_hash

RESULTS = Path(__file__).resolve().parents[4] / "bench" / "results"


def stale(folder: Path) -> list[str]:
    """Results that were made with other sources; none where none were made."""
    return [
        path.name
        for path in sorted(folder.glob("gpu-*.json"))
        if json.loads(path.read_text())["source"] != source_hash()
    ]


def test_kept_results_are_of_these_sources() -> None:
    assert not stale(RESULTS), (
        "stale: made with other sources; `tox run -e gpu` on a machine with a GPU makes them again"
    )


def test_a_result_of_other_sources_is_stale(tmp_path: Path) -> None:
    (tmp_path / "gpu-old.json").write_text('{"source": "another"}')
    (tmp_path / "gpu-new.json").write_text(json.dumps({"source": source_hash()}))

    assert stale(tmp_path) == ["gpu-old.json"]


def test_where_nothing_has_run_nothing_is_stale(tmp_path: Path) -> None:
    assert stale(tmp_path) == []
