"""Runs: a plan in its folder, stages shared between runs, and every folder that is not what it should be."""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import filelock
import pytest

from crt_basics.decoders.ancestral import AncestralDecoder
from crt_basics.metrics.code_length import TwoPartCode
from crt_laws.toys import LinearChain
from crt_run.runs import checkpoint, files
from crt_run.runs.execute import execute, finished
from crt_run.runs.records import FORMAT, RECORDS, append, read_records, seal
from crt_run.runs.run import CODE, Run, address, alone
from crt_run.training import trainer as train
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Measurement, Plan

Planned = Callable[..., Plan]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stages whose steps were taken, in order."""
    names: list[str] = []
    advance = train.Trainer.advance

    def noted(self: train.Trainer, objective: Any) -> train.Loss:
        if self.step == 0:
            names.append(self.stage.name)
        return advance(self, objective)

    monkeypatch.setattr(train.Trainer, "advance", noted)
    return names


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# What a stage depends on


@pytest.mark.parametrize(
    "change",
    [
        "sampling.temperature=0.5", "metric=[{use = 'frechet'}]", "metric=[]", "name=other",
        "training.tokenizer.checkpoint=2", "training.prior.checkpoint=1",
    ],
)  # fmt: skip
def test_what_no_stage_reads_trains_nothing_again(
    toy_plan: Planned, runs: Path, trained: list[str], change: str
) -> None:
    execute(toy_plan(), runs)

    execute(toy_plan(change), runs)

    assert trained == ["tokenizer", "prior"]


@pytest.mark.parametrize(
    "change", ["prior.order=0", "training.prior.steps=8", "training.prior.batch=8", "experiment.evaluations=2"]
)
def test_what_the_prior_alone_reads_keeps_the_tokenizer(
    toy_plan: Planned, runs: Path, trained: list[str], change: str
) -> None:
    execute(toy_plan(), runs)

    execute(toy_plan(change), runs)

    assert trained == ["tokenizer", "prior", "prior"]
    assert len(list((runs / "stages" / "tokenizer").glob("*/final"))) == 1


@pytest.mark.parametrize(
    "change",
    [
        "seed=1", "dataset.test=300", "tokenizer.side=2", "bottleneck.levels=[3, 2]", "regularizer.0.weight=0.25",
        "regularizer.0.optimizer.learning_rate=0.01", "training.tokenizer.steps=8", "training.tokenizer.batch=8",
        "training.tokenizer.optimizer.clip=0.5",
    ],
)  # fmt: skip
def test_what_the_tokenizer_reads_trains_everything_again(
    toy_plan: Planned, runs: Path, trained: list[str], change: str
) -> None:
    execute(toy_plan(), runs)

    execute(toy_plan(change), runs)

    assert trained == ["tokenizer", "prior", "tokenizer", "prior"]


def test_a_draft_is_a_stage_of_its_own(toy_plan: Planned, runs: Path, trained: list[str]) -> None:
    execute(toy_plan(), runs)

    execute(toy_plan("draft={use = 'table', order = 0}", "training.draft={steps = 3}"), runs)

    assert trained == ["tokenizer", "prior", "draft"]


# A finished run


def test_a_finished_run_is_answered_without_running(toy_plan: Planned, runs: Path, trained: list[str]) -> None:
    first = execute(toy_plan(), runs)
    before = {path: path.stat().st_mtime_ns for path in runs.rglob("*") if path.suffix != ".lock"}

    again = execute(toy_plan(), runs)

    assert again == first
    assert trained == ["tokenizer", "prior"]
    assert before == {path: path.stat().st_mtime_ns for path in runs.rglob("*") if path.suffix != ".lock"}


def test_a_result_is_what_its_folder_holds(toy_plan: Planned, runs: Path) -> None:
    plan = toy_plan()

    result = execute(plan, runs)

    assert finished(plan, runs) == result
    assert (result["name"], result["hash"], result["seed"]) == ("toy", plan.hash, 0)
    assert all({"value", "unit", "n"} <= number.keys() for number in result["numbers"].values())
    about = json.loads((address(plan, runs) / "run.json").read_bytes())
    assert about["ended"] >= about["started"]
    assert [stage["reused"] for stage in about["stages"].values()] == [False, False]


def test_the_backend_of_a_regulariser_is_reported(
    toy_plan: Planned, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LinearChain, "backend", "by hand", raising=False)
    plan = toy_plan()

    execute(plan, runs)

    about = json.loads((address(plan, runs) / "run.json").read_bytes())
    assert about["backends"] == {"regularizer.0 linearchain": "by hand"}


def test_the_backend_of_a_decoder_is_reported(toy_plan: Planned, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AncestralDecoder, "backend", "by hand", raising=False)
    plan = toy_plan()

    execute(plan, runs)

    about = json.loads((address(plan, runs) / "run.json").read_bytes())
    assert about["backends"] == {"decoder": "by hand"}


@pytest.mark.parametrize("backend", [None, 3], ids=str)
def test_what_is_no_text_is_no_backend(toy_plan: Planned, runs: Path, backend: object) -> None:
    run = Run(toy_plan(), runs)

    run.note_backends("decoder", SimpleNamespace(backend=backend))

    assert run.facts["backends"] == {}


def test_a_stage_that_is_reused_is_said_to_be_and_keeps_its_readings(toy_plan: Planned, runs: Path) -> None:
    execute(toy_plan(), runs)
    other = toy_plan("sampling.temperature=0.5")

    execute(other, runs)

    about = json.loads((address(other, runs) / "run.json").read_bytes())
    assert [stage["reused"] for stage in about["stages"].values()] == [True, True]
    assert read_records(address(other, runs) / RECORDS) == read_records(address(toy_plan(), runs) / RECORDS)


def test_a_run_that_was_stopped_anywhere_ends_the_same(toy_plan: Planned, runs: Path, tmp_path: Path) -> None:
    whole = execute(toy_plan(), tmp_path / "whole")
    stops = 0

    for look in range(1, 60, 4):
        count = iter(range(look))
        try:
            result = execute(toy_plan(), runs, stopping=lambda count=count: next(count, None) is None)  # type: ignore[misc]
            break
        except Stopped:
            stops += 1

    assert stops >= 3
    assert result == whole
    assert (address(toy_plan(), runs) / "result.json").read_bytes() == (
        address(toy_plan(), tmp_path / "whole") / "result.json"
    ).read_bytes()


# Records


def test_a_torn_last_line_is_ended_before_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / RECORDS
    append(path, {"stage": "a", "step": 1, "loss": 1.0})
    with path.open("ab") as file:
        file.write(b'{"stage": "a", "st')

    append(path, {"stage": "a", "step": 3, "loss": 3.0})

    assert [line["step"] for line in read_records(path)] == [1, 3]


def test_a_step_done_again_counts_once(tmp_path: Path) -> None:
    path = tmp_path / RECORDS
    for step in (1, 2, 3, 2, 3, 4):
        append(path, {"stage": "a", "step": step})
    append(path, {"stage": "b", "step": 2})

    read = [(line["stage"], line["step"]) for line in read_records(path)]

    assert read == [("a", 1), ("a", 2), ("a", 3), ("a", 4), ("b", 2)]


def test_no_records_are_none(tmp_path: Path) -> None:
    assert read_records(tmp_path / "nowhere") == []


# Folders that are not what they should be


@pytest.fixture
def plan(toy_plan: Planned) -> Plan:
    return toy_plan()


def error_of(call: Callable[[], object]) -> str:
    """The one line that says what is wrong."""
    with pytest.raises(RunError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_file_in_the_run_s_place_is_reported(plan: Plan, runs: Path) -> None:
    address(plan, runs).parent.mkdir(parents=True)
    address(plan, runs).write_text("mine")

    message = error_of(lambda: execute(plan, runs))

    assert message.startswith(f"{address(plan, runs)}: expected a folder; move the file away")
    assert address(plan, runs).read_text() == "mine"


@pytest.mark.parametrize("about", [None, {"hash": "0123456789ab"}, {"hash": None}], ids=str)
def test_a_folder_of_something_else_is_reported_and_left_alone(plan: Plan, runs: Path, about: Any) -> None:
    folder = address(plan, runs)
    folder.mkdir(parents=True)
    (folder / "thesis.tex").write_text("mine")
    if about is not None:
        seal(folder / "run.json", about)

    message = error_of(lambda: execute(plan, runs))

    assert message.startswith(f"{folder}: expected a run of 'toy' ({plan.hash}), got something else")
    assert "move it away, or choose another folder with --runs" in message
    assert (folder / "thesis.tex").read_text() == "mine"


@pytest.mark.parametrize(
    ("about", "got"),
    [({"format": 2}, "2"), ({"format": 4}, "4"), ({"format": str(FORMAT)}, f"'{FORMAT}'"), ({}, "none")],
    ids=str,
)
def test_a_finished_run_of_another_format_is_refused_and_left_alone(
    plan: Plan, runs: Path, about: dict[str, Any], got: str
) -> None:
    execute(plan, runs)
    folder = address(plan, runs)
    values = json.loads((folder / "run.json").read_bytes())
    del values["format"]
    (folder / "run.json").write_bytes(files.dumped(values | about))
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    message = error_of(lambda: execute(plan, runs))

    assert message == (
        f"{folder / 'run.json'}: expected format {FORMAT}, got {got}, which this version of crtcore does not read; "
        f"move {folder.parent} with all its runs away, or choose another folder with --runs, "
        "and run the spec file again"
    )
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("part", ["", "toy", "stages", "stages/tokenizer"])
def test_a_file_in_a_folder_s_place_is_reported(plan: Plan, runs: Path, part: str) -> None:
    (runs / part).parent.mkdir(parents=True, exist_ok=True)
    (runs / part).write_text("mine")

    message = error_of(lambda: execute(plan, runs))

    assert message.startswith(f"cannot write {runs}")
    assert "give the same command again" in message


def test_an_empty_folder_and_what_a_kill_left_aside_are_ours(plan: Plan, runs: Path) -> None:
    folder = address(plan, runs)
    folder.mkdir(parents=True)
    (folder / ".tmp-run.json-1").write_text("{")
    (folder / ".tmp-samples-1").mkdir()

    execute(plan, runs)

    assert not [path.name for path in folder.iterdir() if path.name.startswith(".tmp-")]


@pytest.mark.parametrize("stage", ["tokenizer", "prior"])
@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json", "manifest.json"])
def test_a_damaged_stage_is_named_and_all_is_well_once_it_is_deleted(
    plan: Plan, runs: Path, stage: str, name: str
) -> None:
    whole = execute(plan, runs)
    (address(plan, runs) / "result.json").unlink()
    (final,) = runs.glob(f"stages/{stage}/*/final")
    (final / name).write_bytes((final / name).read_bytes()[:-1])
    kept = {path: path.read_bytes() for path in runs.glob("stages/*/*/final/*")}

    message = error_of(lambda: execute(plan, runs))

    assert message.startswith(f"{final / name}: ")
    assert f"delete the folder {final} and give the same command again" in message
    assert kept == {path: path.read_bytes() for path in runs.glob("stages/*/*/final/*")}
    checkpoint.remove(final)
    assert execute(plan, runs) == whole


def test_a_stage_that_lost_its_mark_is_trained_again(plan: Plan, runs: Path, trained: list[str]) -> None:
    whole = execute(plan, runs)
    (address(plan, runs) / "result.json").unlink()
    (mark,) = runs.glob("stages/tokenizer/*/final/COMMITTED")
    mark.unlink()

    result = execute(plan, runs)

    assert result == whole
    assert trained == ["tokenizer", "prior", "tokenizer"]


def test_what_killed_writers_left_aside_in_a_stage_is_cleared(plan: Plan, runs: Path) -> None:
    stops = iter([*[False] * 6, True])
    with pytest.raises(Stopped):
        execute(plan, runs, stopping=functools.partial(next, stops, True))
    (stage,) = runs.glob("stages/tokenizer/*/")
    (stage / ".tmp-step-000000004-1").mkdir()

    execute(plan, runs)

    assert sorted(path.name for path in stage.iterdir()) == [CODE, "final", RECORDS]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_named_and_no_result_written(
    plan: Plan, runs: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    monkeypatch.setattr(TwoPartCode, "compute", lambda *_: {"bits": Measurement(value, "bits", 3)})

    message = error_of(lambda: execute(plan, runs))

    assert message == f"number 'bits': expected a finite value and interval, got {value}"
    assert finished(plan, runs) is None


# Two at once


def test_one_that_waits_for_another_names_folder_and_process(plan: Plan, runs: Path) -> None:
    folder, events = address(plan, runs), []
    gate, held = threading.Event(), threading.Event()

    def hold() -> None:
        with alone(folder):
            held.set()
            gate.wait(30)

    def hear(event: Any) -> None:
        if event["event"] == "note":
            events.append((time.monotonic() - began, event["text"]))
            gate.set()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    began = time.monotonic()
    execute(plan, runs, report=hear)
    holder.join()

    ((after, text),) = events
    assert text == f"waiting for the folder {folder}, which process {os.getpid()} on {platform.node()} is working in"
    assert 0.9 < after < 5


def test_one_that_waits_for_another_stops_when_asked(plan: Plan, runs: Path) -> None:
    folder = address(plan, runs)
    folder.parent.mkdir(parents=True)
    asked: Iterator[bool] = iter([False, True])

    with filelock.FileLock(folder.with_suffix(".lock")), pytest.raises(Stopped):
        execute(plan, runs, stopping=lambda: next(asked))

    assert not folder.exists()


def _execute(plan: Plan, runs: Path, gate: Any, steps: Any, ends: Any) -> None:
    """In a process: runs the plan, counts the steps it takes, returns the result."""
    advance = train.Trainer.advance

    def counted(self: train.Trainer, objective: Any) -> train.Loss:
        with steps.get_lock():
            steps.value += 1
        return advance(self, objective)

    train.Trainer.advance = counted  # type: ignore[method-assign]
    gate.wait(30)
    ends.put(execute(plan, runs))


def test_two_processes_with_one_plan_both_end_well_and_train_once(plan: Plan, runs: Path) -> None:
    context = multiprocessing.get_context("fork")
    gate, steps, ends = context.Barrier(2), context.Value("i", 0), context.Queue()
    both = [context.Process(target=_execute, args=(plan, runs, gate, steps, ends)) for _ in range(2)]

    for process in both:
        process.start()
    results = [ends.get(timeout=60) for _ in both]
    for process in both:
        process.join(30)

    assert [process.exitcode for process in both] == [0, 0]
    assert results[0] == results[1]
    assert steps.value == 9 + 7  # the steps of the two stages


def test_two_plans_at_once_share_a_stage_that_is_trained_once(toy_plan: Planned, runs: Path) -> None:
    context = multiprocessing.get_context("fork")
    gate, steps, ends = context.Barrier(2), context.Value("i", 0), context.Queue()
    plans = [toy_plan(), toy_plan("prior.order=0")]
    both = [context.Process(target=_execute, args=(plan, runs, gate, steps, ends)) for plan in plans]

    for process in both:
        process.start()
    hashes = {ends.get(timeout=60)["hash"] for _ in both}
    for process in both:
        process.join(30)

    assert hashes == {plan.hash for plan in plans}
    assert steps.value == 9 + 2 * 7
