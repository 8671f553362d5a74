"""Shards under SIGKILL: of the command that draws them and of its workers, at random times; in the end the same bytes.

`CRT_KILLS=20 pytest tests/test_shard_kills.py` makes 200 kills beside the ten of the fast test; by default 184.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
import tomli

import crtcore
from crt_run.executors.spec import Local
from crt_run.runs.execute import execute
from crt_run.shards import Draws, sample_shards, score_shards, scores
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.errors import RunError
from crtcore.kinds import Done, ExecutorSpec, Json, Work

COUNT, SHARD = 300, 6
PATIENCE = 120.0
OF_THE_COMMAND = int(os.environ.get("CRT_KILLS", "4"))
"""Kills of the real command and its workers, which take about ten seconds each."""
SPEC = """\
name = "tiny"
dataset = {use = "digits", test = 40}
tokenizer = {use = "conv", channels = 4}
bottleneck = {use = "fsq", levels = [3, 3]}
prior = {use = "table", order = 1}
decoder = {use = "ancestral"}

[experiment]
use = "two-stage"
samples = 40

[training]
tokenizer = {steps = 2, batch = 8}
prior = {steps = 2, batch = 8}
"""


@attrs.frozen(kw_only=True)
class Forked(ExecutorSpec):
    """Two processes at a time, forked for each piece; unlike those of `local`, they outlive a parent that is killed."""

    def build(self) -> Forked:
        """The executor."""
        return self

    def run(self, work: Work, pieces: Sequence[Json], report: Callable[[int, Json], None]) -> Iterator[Done]:
        """Does all pieces."""
        left, busy = list(range(len(pieces)))[::-1], dict[int, tuple[int, int]]()
        while left or busy:
            while left and len(busy) < 2:
                place = left.pop()
                into, out = os.pipe()
                if not (pid := os.fork()):
                    os.write(out, json.dumps(work(pieces[place], lambda event: None)).encode())
                    os._exit(0)
                os.close(out)
                busy[pid] = place, into
            pid, _ = os.wait()
            place, into = busy.pop(pid)
            with os.fdopen(into, "rb") as answer:
                raw = answer.read()
            yield Done(place, json.loads(raw), None) if raw else Done(place, None, "died")


def draw(run: Any, out: Path) -> None:
    """The command without its start, as importing torch takes longer than all the samples."""
    with contextlib.suppress(RunError):  # a shard whose worker was killed twice
        sample_shards(run, out, COUNT, shard=SHARD, executor=Forked())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of a second."""
    runs = tmp_path_factory.mktemp("runs")
    (point,) = study(Document(tomli.loads(SPEC), {}), crtcore.discover()).points
    execute(point.plan, runs)
    (folder,) = (path for path in (runs / "tiny").iterdir() if path.is_dir())
    return folder


@pytest.fixture(scope="module")
def undisturbed(run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a draw that nothing disturbs, in one process."""
    out = tmp_path_factory.mktemp("whole") / "out"
    sample_shards(crtcore.load_run(run), out, COUNT, shard=SHARD, executor=Local(workers=1))
    return content(out)


def content(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.suffix != ".lock"}


def workers(pid: int) -> list[int]:
    """The children of a process; none if it has ended."""
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def check_whole(out: Path, expected: dict[str, bytes]) -> None:
    """Every index is there once, with the bytes of the undisturbed draw."""
    drawn = Draws.read(out)
    indices = [index for span in drawn.spans for index in range(span.first, span.first + span.size)]
    assert indices == list(range(COUNT))
    assert content(out) == expected


class Kills:
    """Kills a process or one of its children at random times, again and again, until it has killed `count` times."""

    def __init__(self, count: int, start: Callable[[], Any], seed: int) -> None:
        self.count, self.start = count, start
        self.rng = random.Random(seed)
        self.of_commands = self.of_workers = self.began = 0

    def __call__(self, ended: Callable[[], None], longest: float) -> None:
        process = self._begin()
        try:
            while self.of_commands + self.of_workers < self.count:
                if self.rng.random() < 0.9:  # else also before it has begun to draw
                    while process.is_alive() and not workers(process.pid):
                        time.sleep(0.001)
                time.sleep(self.rng.uniform(0, longest))
                if not process.is_alive():
                    ended()
                    process = self._begin()
                    continue
                children = workers(process.pid)
                if children and self.rng.random() < 0.6:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(self.rng.choice(children), signal.SIGKILL)
                        self.of_workers += 1
                else:
                    process.kill()
                    process.join()
                    self.of_commands += 1
                    process = self._begin()
        finally:
            process.kill()
            process.join()

    def _begin(self) -> Any:
        self.began += 1
        process = self.start()
        process.start()
        return process


@pytest.mark.parametrize("count", [10, pytest.param(180, marks=pytest.mark.slow)])
def test_kills_at_random_times_lose_and_repeat_no_sample(
    run: Path, undisturbed: dict[str, bytes], tmp_path: Path, count: int
) -> None:
    context: Any = multiprocessing.get_context("fork")
    out, loaded = tmp_path / "out", crtcore.load_run(run)

    def ended() -> None:
        """A draw that is whole is checked, and the next one begins."""
        if (out / "manifest.json").exists():
            check_whole(out, undisturbed)
            shutil.rmtree(out)

    kills = Kills(count, lambda: context.Process(target=draw, args=(loaded, out)), seed=count)
    kills(ended, longest=0.25)
    for _ in range(5):  # a worker that a killed command has left may still write
        draw(loaded, out)
    check_whole(out, undisturbed)

    assert kills.of_commands + kills.of_workers == count
    assert min(kills.of_commands, kills.of_workers) > count // 10


class Command:
    """`crt sample` with two workers."""

    def __init__(self, run: Path, out: Path) -> None:
        words = ["sample", str(run), "--count", str(COUNT), "--shard", str(SHARD), "--out", str(out)]
        self.words = [sys.executable, "-m", "crt_cli", *words, "--on", "local(workers=2)"]

    def start(self) -> None:
        """Starts it."""
        self.process = subprocess.Popen(
            self.words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        self.pid = self.process.pid

    def is_alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def kill(self) -> None:
        """Kills it."""
        self.process.kill()

    def join(self) -> tuple[int, str]:
        """Its status, and what it printed on stderr."""
        _, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, errors


@pytest.mark.slow
def test_kills_of_the_command_and_of_its_workers_lose_no_sample(
    run: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def ended() -> None:
        if (out / "manifest.json").exists():
            check_whole(out, undisturbed)
            shutil.rmtree(out)

    kills = Kills(OF_THE_COMMAND, lambda: Command(run, out), seed=1)
    kills(ended, longest=8)
    last = Command(run, out)
    last.start()
    status, errors = last.join()

    assert status == 0, errors
    check_whole(out, undisturbed)
    assert kills.of_workers + kills.of_commands == OF_THE_COMMAND


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupt_keeps_shards_and_says_how_to_go_on(
    run: Path, undisturbed: dict[str, bytes], tmp_path: Path, number: signal.Signals, status: int
) -> None:
    out = tmp_path / "out"
    command = Command(run, out)
    command.start()
    end = time.monotonic() + PATIENCE
    while not list(out.glob("shard-*.json")) and time.monotonic() < end:
        time.sleep(0.002)
    command.process.send_signal(number)
    ended, errors = command.join()
    kept = len(list(out.glob("shard-*.json")))
    again = Command(run, out)
    again.start()

    assert ended == status
    assert errors.splitlines()[-1].endswith("; finished shards are kept, and the same command draws the others")
    assert "Traceback" not in errors
    assert kept > 0
    assert again.join()[0] == 0
    check_whole(out, undisturbed)


@pytest.mark.slow
def test_scores_of_two_processes_are_those_of_one(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, metrics = crtcore.load_run(run), [{"use": "frechet", "dimensions": 3}, {"use": "kernel-distance"}]
    sample_shards(loaded, tmp_path / "two", 40, shard=7, executor=Forked())
    shutil.copytree(tmp_path / "two", tmp_path / "one")

    one = score_shards(loaded, tmp_path / "one", metrics=metrics, executor=Local(workers=1))
    monkeypatch.setattr(scores, "PIECE", 7)
    two = score_shards(loaded, tmp_path / "two", metrics=metrics, executor=Local(workers=2))

    assert {*one.numbers} == {*two.numbers}
    assert len(one.numbers) == 6
    for name, number in one.numbers.items():
        assert two.numbers[name].value == pytest.approx(number.value, rel=1e-8, abs=1e-8)
