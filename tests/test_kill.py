"""End to end on the smoke spec: killed, interrupted, out of space, and in the end the same bytes."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crt_run.runs.execute import execute, work
from crtcore.compose.plan import load
from crtcore.registry import discover

SPEC = Path(__file__).parents[1] / "specs" / "smoke.toml"
PATIENCE = 120.0


def start(runs: Path) -> subprocess.Popen[str]:
    """The command, in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "crt_cli", "run", str(SPEC), "--runs", str(runs)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def finished(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit status, and what came on stderr."""
    _, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, errors


def until(process: subprocess.Popen[str], runs: Path, pattern: str) -> None:
    """Waits until there is something of that name."""
    end = time.monotonic() + PATIENCE
    while not list(runs.glob(pattern)):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.005)


def content(runs: Path) -> bytes:
    (path,) = runs.glob("smoke/*/result.json")
    return path.read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The result of the command when nothing comes between."""
    runs = tmp_path_factory.mktemp("whole")
    assert finished(start(runs))[0] == 0
    return content(runs)


@pytest.mark.slow
def test_the_command_killed_three_times_ends_with_the_same_bytes(tmp_path: Path, whole: bytes) -> None:
    rng = random.Random(2)

    for pattern in ("stages/tokenizer/*/step-*", "stages/prior/*/step-*", "stages/draft/*"):
        process = start(tmp_path)
        until(process, tmp_path, pattern)
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        finished(process)
    status, _ = finished(start(tmp_path))

    assert status == 0
    assert content(tmp_path) == whole


@pytest.mark.parametrize(
    ("number", "group", "status"),
    [(signal.SIGINT, True, 130), (signal.SIGTERM, False, 143)],
    ids=["Ctrl-C", "SIGTERM"],
)
@pytest.mark.slow
def test_an_interrupt_saves_and_says_how_to_go_on(
    tmp_path: Path, whole: bytes, number: signal.Signals, group: bool, status: int
) -> None:
    process = start(tmp_path)
    until(process, tmp_path, "stages/tokenizer/*/step-*")
    if group:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    ended, errors = finished(process)

    steps = [json.loads(path.read_bytes())["step"] for path in tmp_path.glob("stages/*/*/*/state.json")]
    again, _ = finished(start(tmp_path))

    assert ended == status
    assert errors.splitlines()[-1].endswith("what is finished is kept, and the same command goes on from there")
    assert "Traceback" not in errors
    assert steps
    assert min(steps) > 0
    assert again == 0
    assert content(tmp_path) == whole


@pytest.mark.parametrize("calls", [1, 40, 70])
def test_a_full_disk_is_reported_in_one_line_and_what_is_finished_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    plan = load(SPEC, discover(), ["dataset.test=50", "metric=[]"]).points[0].plan
    sync, left = os.fsync, iter(range(calls))
    before = signal.getsignal(signal.SIGTERM)

    def full(handle: int) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        answer = work(
            {"document": dict(plan.document), "runs": str(tmp_path / "runs"), "fresh": False}, lambda event: None
        )
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/stages/*/*/final/*")}
    signal.signal(signal.SIGTERM, before)

    assert str(answer["problem"]).startswith(f"cannot write {tmp_path / 'runs'}")
    assert "no space left; free some and give the same command again, what is finished is kept" in answer["problem"]
    assert "\n" not in answer["problem"]
    assert not list(tmp_path.rglob(".tmp-*"))
    assert execute(plan, tmp_path / "runs") == execute(plan, tmp_path / "whole")
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())


@pytest.mark.slow
def test_a_damaged_stage_ends_the_command_with_one_message_and_status_1(tmp_path: Path) -> None:
    plan = load(SPEC, discover()).points[0].plan
    execute(plan, tmp_path)
    before = content(tmp_path)
    (result,) = tmp_path.glob("smoke/*/result.json")
    result.unlink()
    (tensors,) = tmp_path.glob("stages/tokenizer/*/final/tensors.safetensors")
    tensors.write_bytes(tensors.read_bytes()[:100])

    status, errors = finished(start(tmp_path))
    shutil.rmtree(tensors.parent)
    execute(plan, tmp_path)

    assert status == 1
    assert errors.count(f"{tensors}: the file was damaged") == 1
    assert f"delete the folder {tensors.parent} and give the same command again" in errors.splitlines()[-1]
    assert "Traceback" not in errors
    assert content(tmp_path) == before
