"""The executor with Ray itself: on a cluster of two processors, which the tests start and kill."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crt_laws import attempt
from crt_laws.laws.executor import BENCH
from crt_ray.spec import Ray
from crtcore.errors import RunError
from crtcore.kinds import Done, Json, Work

HERE = Path(__file__).parent
SPEC = HERE / "shared.toml"
PATIENCE = 500.0
STARTED: list[subprocess.Popen[str]] = []
HEAD = """\
import sys, time, ray
ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=200 * 2**20)
print(ray.get_runtime_context().gcs_address, flush=True)
time.sleep(3600)
"""


class Head:
    """A Ray of its own, in a session of processes that can be killed together."""

    def __init__(self, folder: Path) -> None:
        words = [sys.executable, "-c", HEAD]
        with (folder / "head.log").open("wb") as log:
            self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, start_new_session=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().decode().strip()
        assert self.address, (folder / "head.log").read_text()

    def kill(self) -> None:
        """Ends all its processes at once."""
        for pid in [*descendants(self.process.pid), self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    ended = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    parents = [tuple(map(int, line.split())) for line in ended.stdout.splitlines()]
    there = [pid]
    for each in there:
        there += [child for child, parent in parents if parent == each]
    return there[1:]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Ray sends nothing, and keeps its token in a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def cluster(settings: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a cluster that all tests share."""
    head = Head(tmp_path_factory.mktemp("head"))
    yield head.address
    head.kill()


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Work that does what its piece says."""
    monkeypatch.syspath_prepend(HERE)  # tasks look where the command looks
    module: Any = importlib.import_module("ray_pieces")
    made: Work = module.work
    return made


def done(spec: Ray, work: Work, pieces: list[Json]) -> tuple[dict[int, Done], list[tuple[int, Json]]]:
    """Pieces that ended, by their place, and all events."""
    events: list[tuple[int, Json]] = []
    ended = spec.build().run(work, pieces, lambda place, event: events.append((place, event)))
    return {each.place: each for each in ended}, events


@pytest.mark.parametrize("law", [law.name for law in BENCH.laws])
def test_tasks_obey(cluster: str, law: str) -> None:
    assert attempt(Ray(address=cluster), law).checks > 0


def test_what_dies_begins_again_and_what_raises_does_not(
    cluster: str, work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pieces: list[Json] = [
        {"number": 0, "calls": "whole"},
        {"number": 1, "calls": "dies", "deaths": 1},
        {"raise": "this", "calls": "raises"},
        {"number": 3, "calls": "always", "deaths": 9},
    ]

    ended, events = done(Ray(address=cluster, retries=1, threads=2), work, pieces)

    assert ended[0] == Done(0, {"double": 0}, None)
    assert ended[1] == Done(1, {"double": 2}, None)
    assert ended[2] == Done(2, None, "KeyError: 'this'")
    assert ended[3].answer is None
    assert "a worker process died 2 times" in str(ended[3].problem)
    assert "give the same command again" in str(ended[3].problem)
    calls = {path.name: len(path.read_text()) for path in tmp_path.iterdir()}
    assert calls == {"whole": 1, "dies": 2, "raises": 1, "always": 2}
    notes = [place for place, event in events if event["event"] == "note"]
    assert sorted(notes) == [1, 3]
    began = [event for place, event in events if place == 0]
    assert began == [{"event": "began", "threads": 2, "folder": str(tmp_path)}]


def test_what_no_machine_has_is_said(settings: None, work: Work, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"expected a machine with cpus = 9999, got \d+ cpus$"):
        done(Ray(cpus=9999), work, [{"number": 1, "calls": str(tmp_path / "calls")}])


def test_an_address_without_a_cluster_is_one_error_within_thirty_seconds(settings: None, work: Work) -> None:
    started = time.monotonic()

    with pytest.raises(RunError, match=r"expected a Ray cluster at '127.0.0.1:1', got no answer in 20 s"):
        done(Ray(address="127.0.0.1:1"), work, [{}])

    assert time.monotonic() - started < 30


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The results and weights of the executor `local`."""
    runs = tmp_path_factory.mktemp("local") / "runs"
    process = swept(runs, "executor.use=local")
    assert process.wait(PATIENCE) == 0, printed(runs)
    return kept(runs)


def swept(runs: Path, *words: str) -> subprocess.Popen[str]:
    """The command, which prints to a file beside the folder of runs."""
    command = [sys.executable, "-m", "crtcore", "sweep", str(SPEC), "--runs", str(runs), "--quiet", *words]
    with runs.with_suffix(".log").open("a") as log:
        STARTED.append(subprocess.Popen(command, stdout=log, stderr=log, text=True))
    return STARTED[-1]


@pytest.fixture(autouse=True, scope="module")
def _ended() -> Iterator[None]:
    """No command outlives the tests."""
    yield
    for process in STARTED:
        process.kill()
        process.wait()


def printed(runs: Path) -> str:
    """What the commands have printed."""
    return runs.with_suffix(".log").read_text()


def kept(runs: Path) -> dict[str, bytes]:
    """Results and weights by their path."""
    paths = [*runs.glob("shared/*/result.json"), *runs.rglob("tensors.safetensors")]
    return {str(path.relative_to(runs)): path.read_bytes() for path in paths}


def until(true: Callable[[], object]) -> bool:
    """Waits for something; False if it did not come."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return False


def test_a_sweep_has_the_bits_of_local_and_trains_each_stage_once(
    settings: None, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    runs = tmp_path / "runs"

    process = swept(runs, "executor.use=ray")

    assert process.wait(PATIENCE) == 0, printed(runs)
    assert kept(runs) == expected
    assert len([path for path in expected if path.endswith("result.json")]) == 3
    stages = [json.loads(path.read_text())["stages"] for path in runs.glob("shared/*/run.json")]
    trained = [name for each in stages for name, about in each.items() if not about["reused"]]
    assert sorted(trained) == ["prior", "tokenizer"]


def test_after_a_kill_of_the_command_the_same_one_goes_on(
    cluster: str, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    runs, words = tmp_path / "runs", ["executor.use=ray", f"executor.address={cluster}"]
    process = swept(runs, *words)
    assert until(lambda: [*runs.glob("shared/*/result.json")]), printed(runs)
    (first, *_) = runs.glob("shared/*/result.json")
    process.kill()
    process.wait()
    before = first.stat().st_mtime_ns

    process = swept(runs, *words)

    assert process.wait(PATIENCE) == 0, printed(runs)
    assert "finished before (1/3)" in printed(runs)
    assert first.stat().st_mtime_ns == before
    assert kept(runs) == expected


def test_a_lost_head_is_one_error_and_what_is_finished_is_kept(
    settings: None, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    runs, head = tmp_path / "runs", Head(tmp_path)
    process = swept(runs, "executor.use=ray", f"executor.address={head.address}")
    reached = until(lambda: [*runs.glob("stages/tokenizer/*/step-*")])
    head.kill()
    assert reached, printed(runs)

    assert process.wait(PATIENCE) == 1
    lines = printed(runs).splitlines()
    assert lines[-1].startswith("executor ray: Ray was lost: ")
    assert lines[-1].endswith("what is finished is kept, and the same command goes on from there")
    assert len(lines) <= 4

    process = swept(runs, "executor.use=local")

    assert process.wait(PATIENCE) == 0, printed(runs)
    assert kept(runs) == expected
