from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from crt_run.runs import checkpoint
from crt_run.runs.execute import execute
from crt_run.runs.find import _COMMITTED, find_run, find_stage
from crtcore.errors import RunError
from crtcore.kinds import Plan


def test_a_run_is_found_by_its_name_its_hash_and_its_folder(toy_plan: Callable[..., Plan], runs: Path) -> None:
    plan = toy_plan()
    execute(plan, runs)
    folder = runs / "toy" / plan.hash

    assert {find_run(name, runs) for name in ("toy", f"toy/{plan.hash}", f"toy/{plan.hash[:5]}", folder)} == {folder}


def test_of_two_runs_of_a_name_one_must_be_named(toy_plan: Callable[..., Plan], runs: Path) -> None:
    plans = [toy_plan(f"seed={seed}") for seed in (0, 1)]
    for plan in plans:
        execute(plan, runs)

    with pytest.raises(RunError, match=r"expected one finished run called 'toy' .*, got 2: toy/\w{12}, toy/\w{12};"):
        find_run("toy", runs)
    assert find_run(f"toy/{plans[1].hash}", runs).name == plans[1].hash


def test_a_name_that_no_run_has_names_the_nearest(toy_plan: Callable[..., Plan], runs: Path) -> None:
    execute(toy_plan(), runs)

    with pytest.raises(RunError, match="did you mean 'toy'"):
        find_run("toi", runs)
    with pytest.raises(RunError, match="the runs of 'toy' are"):
        find_run("toy/ffffffffffff0", runs)
    for outside in ("../toy", "", "/", "stages"):
        with pytest.raises(RunError, match="expected a finished run"):
            find_run(outside, runs / "toy" if outside.startswith("..") else runs)


def test_a_run_without_a_result_is_refused(toy_plan: Callable[..., Plan], runs: Path) -> None:
    plan = toy_plan()
    execute(plan, runs)
    (runs / "toy" / plan.hash / "result.json").unlink()

    for name in ("toy", runs / "toy" / plan.hash):
        with pytest.raises(RunError, match="got one without a result"):
            find_run(name, runs)


def test_the_weights_of_a_stage_are_found_by_its_name(toy_plan: Callable[..., Plan], runs: Path) -> None:
    execute(toy_plan(), runs)
    run = find_run("toy", runs)

    folder = find_stage(run, "prior")

    assert any(name.startswith("part.prior.") for name in checkpoint.load(folder).tensors)
    with pytest.raises(RunError, match="got 'priors'; did you mean 'prior'"):
        find_stage(run, "priors")
    checkpoint.remove(folder)
    with pytest.raises(RunError, match="the folder was moved or removed"):
        find_stage(run, "prior")


def test_finding_a_run_imports_no_torch() -> None:
    text = "import sys, crt_run.runs.find; assert 'torch' not in sys.modules"

    assert subprocess.run([sys.executable, "-c", text], check=False).returncode == 0
    assert _COMMITTED == checkpoint.MARK
