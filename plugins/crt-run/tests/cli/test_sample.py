from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from crt_laws.toy_studies import REGISTRY
from crt_run.cli import tracking
from crt_run.cli.sample import sample
from crt_run.cli.score import score
from crt_run.cli.tracking import tracked
from crt_run.loading import plans
from crt_run.loading.loaded import load_run
from crt_run.runs.execute import execute
from crtcore.errors import RunError
from crtcore.kinds import Plan


def test_samples_are_drawn_into_a_file(
    toy_plan: Callable[..., Plan], runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "discover", lambda: REGISTRY)
    execute(toy_plan(), runs)
    out = tmp_path / "drawn.jsonl"

    def crt_sample(*words: str) -> Any:
        return CliRunner().invoke(sample, ["toy", "--runs", str(runs), "--out", str(out), *words])

    ended = crt_sample("--count", "3", "--class", "7", "--seed", "5", "--json")
    assert ended.exit_code == 0, ended.output
    about = json.loads(ended.stdout)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    expected = load_run("toy", runs).sample(3, seed=5, class_ids=[7, 7, 7])
    assert [line["ids"] for line in lines] == expected.ids.tolist()
    assert [line["class"] for line in lines] == [7, 7, 7]
    assert (about["samples"], about["seed"], about["decoder"]) == (3, 5, "ancestral")
    assert about["ids"] == about["target_calls"] == expected.ids.numel()

    assert crt_sample("--class", "10").exit_code == 1
    assert "expected a class for each of 16 samples, from 0 to 9" in crt_sample("--class", "10").stderr
    assert "did you mean 'toy'" in CliRunner().invoke(sample, ["toi", "--runs", str(runs)]).stderr


@pytest.mark.parametrize(
    ("command", "words"), [(sample, ["toy", "--out", "draws"]), (score, ["draws"])], ids=["sample", "score"]
)
def test_ranks_of_torchrun_do_not_each_do_the_work(
    command: click.Command, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "2")
    ended = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        ended.append(CliRunner().invoke(command, words))

    assert [each.exit_code for each in ended] == [1, 1]
    assert f"crt {command.name}: expected one process, got ranks of torchrun" in ended[0].stderr
    assert not ended[1].output
    assert not list(tmp_path.iterdir())


def test_a_tracker_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(
        RunError, match=r"--track trackio: expected crt-track, got none: pip install 'crt-track\[trackio\]'"
    ):
        tracked(("trackio",))


def test_chosen_trackers_are_checked_and_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[list[str]] = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(tracking, "resolve", lambda name: checked.append)
    monkeypatch.setenv(tracking.VARIABLE, "before")

    tracked(())
    assert os.environ[tracking.VARIABLE] == "before"
    tracked(("trackio,mlflow", "wandb"))

    assert checked == [["trackio", "mlflow", "wandb"]]
    assert os.environ[tracking.VARIABLE] == "trackio mlflow wandb"
