"""Damage: a file of a run or a stage that is not as it was written is refused, and named."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_run.runs import checkpoint, files
from crt_run.runs import execute as execute_module
from crt_run.runs.ended import hashes
from crt_run.runs.execute import execute, finished
from crt_run.runs.records import RECORDS, append, read_json, read_records, seal
from crt_run.runs.run import CODE, address
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Plan

Planned = Callable[..., Plan]


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


@given(garbage=st.binary() | st.sampled_from([b"null", b"[1]", b"3", b'{"stage": "a"}', b'{"stage": [], "step": 1}']))
def test_a_line_that_is_no_record_is_named(tmp_path_factory: pytest.TempPathFactory, garbage: bytes) -> None:
    path = tmp_path_factory.mktemp("records") / RECORDS
    append(path, {"stage": "good", "step": 1})
    path.write_bytes(path.read_bytes() + garbage + b"\n")

    message = error_of(lambda: read_records(path))

    assert message.startswith(f"{path}: line 2: the record was damaged, or is of another run; move the folder")


@settings(max_examples=200)
@given(data=st.data())
def test_a_record_with_a_flipped_bit_is_named_or_left_out(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("records") / RECORDS
    for step in (1, 2):
        append(path, {"stage": "a", "step": step, "loss": step / 3})
    whole = read_records(path)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, 8 * len(content) - 1))
    content[place // 8] ^= 1 << place % 8
    path.write_bytes(content)

    try:
        read = read_records(path)
    except RunError as error:
        assert str(error).startswith(f"{path}: line ")  # noqa: PT017
    else:  # the last line's end was hit, so that it looks like one that a kill truncated
        assert read == whole[:1]


def test_a_record_of_another_folder_is_refused(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        append(tmp_path / name / RECORDS, {"stage": "a", "step": 1})
    shutil.copy(tmp_path / "one" / RECORDS, tmp_path / "other" / RECORDS)

    assert "is of another run" in error_of(lambda: read_records(tmp_path / "other" / RECORDS))
    assert len(read_records(tmp_path / "other" / RECORDS, "one")) == 1


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\0", b"[]", b"null", b'"text"', b"[" * 100_000])
@pytest.mark.parametrize("name", ["run.json", "result.json"])
def test_a_damaged_file_of_a_run_is_named(plan: Plan, runs: Path, name: str, content: bytes) -> None:
    folder = address(plan, runs)
    execute(plan, runs)
    (folder / name).write_bytes(content)

    message = error_of(lambda: execute(plan, runs))

    assert message.startswith(f"{folder / name}: ")
    assert f"move the folder {folder} away and give the same command again" in message


@pytest.mark.parametrize("name", ["run.json", "result.json"])
@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_in_the_place_of_one_is_named(plan: Plan, runs: Path, name: str, make: Any) -> None:
    folder = address(plan, runs)
    execute(plan, runs)
    (folder / name).unlink()
    make(folder / name)

    message = error_of(lambda: execute(plan, runs))

    assert message.startswith(f"{folder / name}: expected a file of a run, got ")


@pytest.mark.parametrize(
    "names", [["result.json"], ["run.json"], ["run.json", "result.json"], ["run.json", "spec.toml"]]
)
def test_files_of_another_run_are_refused(toy_plan: Planned, runs: Path, names: list[str]) -> None:
    one, other = toy_plan(), toy_plan("seed=1")
    execute(one, runs)
    execute(other, runs)
    for name in names:
        shutil.copy(address(other, runs) / name, address(one, runs) / name)

    for call in (lambda: execute(one, runs), lambda: finished(one, runs)):
        message = error_of(call)  # type: ignore[arg-type]
        assert message.startswith(str(address(one, runs)))
        assert "away" in message


def test_one_number_that_was_changed_is_refused(plan: Plan, runs: Path) -> None:
    result = execute(plan, runs)
    result["numbers"]["codes_used"]["value"] += 1
    path = address(plan, runs) / "result.json"
    path.write_bytes(files.dumped(result))

    message = error_of(lambda: finished(plan, runs))

    assert message.startswith(f"{path}: the file was damaged or replaced, expected SHA-256 '")


@pytest.mark.parametrize("change", [" ", '"format": 3, "format": 3', "\ufeff"])
def test_what_only_looks_the_same_is_refused(plan: Plan, runs: Path, change: str) -> None:
    execute(plan, runs)
    path = address(plan, runs) / "run.json"
    text = path.read_text()
    path.write_text(text.replace('"format": 3', change) if ":" in change else change + text)

    assert error_of(lambda: finished(plan, runs)).startswith(f"{path}: ")


BROKEN: list[tuple[str, Any]] = [
    ("numbers", None), ("numbers", []), ("numbers", {"a": 1}), ("numbers", {"a": {"value": "1", "unit": "", "n": 1}}),
    ("numbers", {"a": {"value": 1.0, "unit": "nats"}}), ("hash", "0123456789ab"), ("hash", None), ("seed", 1),
    ("seed", True), ("seed", "0"), ("format", 2), ("points", [{}]), ("outcomes", [1]), ("notes", "a"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), BROKEN, ids=str)
def test_a_result_of_another_shape_is_refused_though_all_hashes_fit(
    plan: Plan, runs: Path, key: str, value: Any
) -> None:
    result = execute(plan, runs)
    folder = address(plan, runs)
    content = files.dumped({**result, key: value})
    (folder / "result.json").write_bytes(content)
    seal(folder / "run.json", {**read_json(folder / "run.json"), "files": hashes(folder, {"result.json": content})})

    message = error_of(lambda: finished(plan, runs))

    assert message.startswith(f"{folder / 'result.json'}: expected ")
    assert "away" in message


def test_a_fresh_run_that_was_stopped_leaves_no_result_of_the_code_before(
    plan: Plan, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = execute_module.code_of(plan)
    with monkeypatch.context() as patch:
        patch.setattr(execute_module, "code_of", lambda plan: {**code, "crtcore": "0"})
        execute(plan, runs)

    monkeypatch.setattr(type(plan.experiment), "build", lambda self: _stop)
    with pytest.raises(Stopped):
        execute(plan, runs, fresh=True)

    assert finished(plan, runs) is None


def _stop(*_: object) -> None:
    raise Stopped


@pytest.mark.parametrize("what", ["final", CODE, RECORDS])
def test_files_of_another_stage_are_refused(toy_plan: Planned, runs: Path, what: str) -> None:
    plan = toy_plan()
    execute(plan, runs)
    (mine,) = runs.glob("stages/tokenizer/*/")
    execute(toy_plan("seed=1"), runs)
    (other,) = (path for path in runs.glob("stages/tokenizer/*/") if path != mine)
    for path in (mine, other):
        assert (path / what).exists()
    if what == "final":
        shutil.rmtree(mine / what)
        shutil.copytree(other / what, mine / what)
    else:
        shutil.copy(other / what, mine / what)
    (address(plan, runs) / "result.json").unlink()

    message = error_of(lambda: execute(plan, runs))

    assert message.startswith(f"{mine / what}")
    assert "give the same command again" in message


@pytest.mark.parametrize("what", [CODE, RECORDS])
def test_a_stage_that_lost_a_file_is_named(plan: Plan, runs: Path, what: str) -> None:
    execute(plan, runs)
    (stage,) = runs.glob("stages/tokenizer/*/")
    (stage / what).unlink()
    (address(plan, runs) / "result.json").unlink()

    message = error_of(lambda: execute(plan, runs))

    assert message.startswith(f"{stage / what}: ")


def test_a_checkpoint_that_a_kill_left_behind_the_final_one_is_removed(
    toy_plan: Planned, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = checkpoint.remove

    def killed(folder: Path) -> None:
        if checkpoint.committed(folder.parent / "final"):  # after its rename
            raise Stopped
        remove(folder)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "remove", killed)
        with pytest.raises(Stopped):
            execute(toy_plan(), runs)
    left = [path.name for path in runs.glob("stages/tokenizer/*/*") if path.is_dir()]

    execute(toy_plan("sampling.temperature=0.5"), runs)

    assert sorted(left) == ["final", "step-000000008"]
    assert not list(runs.glob("stages/*/*/step-*"))


def test_records_after_the_latest_checkpoint_are_dropped(plan: Plan, runs: Path, tmp_path: Path) -> None:
    execute(plan, tmp_path / "whole")
    stops = iter([*[False] * 6, True])
    with pytest.raises(Stopped):
        execute(plan, runs, stopping=functools.partial(next, stops, True))
    (records,) = runs.glob(f"stages/tokenizer/*/{RECORDS}")
    append(records, {"stage": "tokenizer", "step": 9, "steps": 9, "loss": 1e9})

    execute(plan, runs)

    for path in runs.glob(f"stages/*/*/{RECORDS}"):
        assert path.read_bytes() == (tmp_path / "whole" / path.relative_to(runs)).read_bytes()
