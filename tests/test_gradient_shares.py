"""The share of regularisers in the gradient at a tokenizer's features, from what its training recorded."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

BENCH = runpy.run_path(str(Path(__file__).parent.parent / "bench" / "gradient_shares.py"))
NORM = "feature_gradient_norm."


def line(step: int, own: float, **others: float) -> dict[str, Any]:
    return {
        "step": step,
        "steps": 10,
        f"{NORM}tokenizer": own,
        **{f"{NORM}{name}": each for name, each in others.items()},
    }


def test_the_share_is_a_mean_over_the_second_half() -> None:
    lines = [line(5, 1.0, a=9.0), line(6, 3.0, a=1.0), line(10, 1.0, a=0.5, b=0.5), {"step": 9, "steps": 10}]

    assert BENCH["share"](lines) == pytest.approx((1 / 4 + 1 / 2) / 2)
    assert BENCH["share"]([line(8, 2.0)]) == 0
    assert BENCH["share"]([{"step": 9, "steps": 10, "validation": 1.0}]) is None


def test_runs_of_a_sweep_are_read_by_arm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    for seed, (arm, other) in enumerate([("baseline", 0.0), ("crt", 1.0), ("crt", 3.0)]):
        (tmp_path / "study" / f"{seed}").mkdir(parents=True)
        (tmp_path / "stages" / f"{seed}").mkdir(parents=True)
        about = {"seed": seed, "stages": {"tokenizer": {"folder": f"stages/{seed}"}}}
        (tmp_path / "study" / f"{seed}" / "run.json").write_text(json.dumps(about))
        (tmp_path / "stages" / f"{seed}" / "records.jsonl").write_text(json.dumps(line(9, 1.0, a=other)) + "\n")
        runs.append({"arm": arm, "folder": f"runs/study/{seed}"})
    monkeypatch.setitem(BENCH["read"].__globals__, "read_sweep", lambda sweep: {"runs": runs})

    record = BENCH["read"](tmp_path / "study" / "sweep-1")

    assert record["name"] == "study"
    assert [(run["arm"], run["share"]) for run in record["runs"]] == [("baseline", 0.0), ("crt", 0.5), ("crt", 0.75)]
    assert list(BENCH["rows"](record))[1].startswith("| crt | 0.625 ± ")


def test_a_sweep_without_these_records_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BENCH["read"].__globals__, "read_sweep", lambda sweep: {"runs": []})

    with pytest.raises(ValueError, match=r"expected runs with feature_gradient_norm\.tokenizer"):
        BENCH["read"](tmp_path)
