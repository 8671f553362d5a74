"""The studies that train on a GPU: what is kept of each finished point."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import training

SPECS = {
    "with": '[[regularizer]]\nuse = "causal"\nweight = 4\n[bottleneck]\nuse = "vq"\ncodes = 16\n',
    "without": 'regularizer = []\n[bottleneck]\nuse = "vq"\ncodes = 8\n[dataset]\nuse = "shapes"\n',
}


def finished(runs: Path, name: str, seed: int) -> None:
    folder = runs / "study" / name
    folder.mkdir(parents=True)
    (folder / "spec.toml").write_text(SPECS[name])
    numbers = {"codes_used": {"value": 7.0, "unit": "codes"}}
    (folder / "result.json").write_text(json.dumps({"seed": seed, "numbers": numbers}))


def test_a_point_is_kept_with_its_parts_with_or_without_a_regularizer(tmp_path: Path) -> None:
    finished(tmp_path, "with", 0)
    finished(tmp_path, "without", 1)

    first, second = training.points(tmp_path)

    assert first["parts"]["regularizer"] == [{"use": "causal", "weight": 4}]
    assert second["parts"] == {"regularizer": [], "bottleneck": {"use": "vq", "codes": 8}}
    assert (second["seed"], second["numbers"]) == (1, {"codes_used": 7.0})


def test_a_point_that_has_not_ended_is_not_kept(tmp_path: Path) -> None:
    finished(tmp_path, "with", 0)
    (tmp_path / "study" / "with" / "result.json").unlink()

    assert training.points(tmp_path) == []


def test_studies_of_two_files_have_results_of_their_own(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "run", lambda *_: {"name": "x", "arms": {}, "claims": []})
    for name in ("one", "two"):
        monkeypatch.setattr("sys.argv", ["training.py", "--spec", f"{name}.toml", "--seeds", "1"])

        training.main()

    assert {path.name for path in kept.glob("*.json")} == {"gpu-training-one.json", "gpu-training-two.json"}
