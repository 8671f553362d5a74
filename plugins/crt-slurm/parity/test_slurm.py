"""Jobs that submitit starts: as processes here, and as arrays of Slurm where there is a cluster."""

from __future__ import annotations

import hashlib
import os
import pickletools
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crt_run.executors.local import LocalProcesses
from crt_run.executors.spec import Local
from crt_slurm.executor import Jobs
from crt_slurm.spec import Slurm
from crtcore.kinds import Done, Json

HERE = Path(__file__).parent
SWEEP = ["sweep.seed=[0, 1]", "training.tokenizer.steps=300"]
SPEC = HERE.parents[2] / "specs" / "smoke.toml"
PATIENCE = 90.0
CLUSTERS = ["local", *(["slurm"] if shutil.which("sbatch") else [])]
"""Slurm itself is tried where it is installed."""


@pytest.fixture(params=CLUSTERS)
def spec(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    """Two jobs at a time, in a folder of the test; jobs can import `pieces`."""
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")])))
    monkeypatch.chdir(tmp_path)
    return Slurm(cluster=request.param, folder=str(tmp_path / "jobs"), minutes=10, parallel=2)


def until(true: Callable[[], object]) -> bool:
    """Waits for something; False if it did not come."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return False


def work() -> Any:
    """The work of the module `pieces`, as jobs import it."""
    import pieces

    return pieces.work


def cut(folder: Path, count: int, **more: Any) -> list[Json]:
    return [{"number": number, "folder": str(folder), **more} for number in range(count)]


def began(folder: Path) -> list[int]:
    return [int(line) for path in folder.glob("began-*") for line in path.read_text().split()]


def alive(process: int) -> bool:
    words = ["ps", "-o", "stat=", "-p", str(process)]
    state = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    return bool(state) and state[0] != "Z"


def submitted(spec: Slurm) -> int:
    """Jobs that were ever submitted."""
    return len(list(Path(spec.folder).glob("submitit/*_submitted.pkl")))


def test_a_job_that_dies_loses_its_own_piece_and_its_log_is_named(spec: Slurm, tmp_path: Path) -> None:
    executor = Jobs(spec)
    executor.grace, executor.queue.look = 2.0, 0.5

    done = {each.place: each for each in executor.run(work(), cut(tmp_path, 4, dies=[1]), lambda *_: None)}

    assert {place: each.answer for place, each in done.items() if place != 1} == {
        place: {"number": place} for place in (0, 2, 3)
    }
    assert done[1].answer is None
    assert "ended without an answer" in str(done[1].problem)
    (log,) = [word for word in str(done[1].problem).replace(")", " ").split() if word.endswith("_log.err")]
    assert Path(log).is_file()


def test_closing_gives_jobs_time_to_save_and_begins_no_other(spec: Slurm, tmp_path: Path) -> None:
    def first(place: int, event: Json) -> None:
        raise KeyboardInterrupt  # as Ctrl-C does in the middle of the wait

    with pytest.raises(KeyboardInterrupt):
        list(Jobs(spec).run(work(), cut(tmp_path, 6, waits=True), first))

    numbers = sorted(path.name.partition("-")[2] for path in tmp_path.glob("began-*"))
    assert 1 <= len(numbers) <= 2
    assert sorted(path.name.partition("-")[2] for path in tmp_path.glob("saved-*")) == numbers
    assert not any(map(alive, began(tmp_path)))
    time.sleep(1)
    assert len(began(tmp_path)) == len(numbers)


def test_a_job_whose_time_is_nearly_over_saves_and_comes_back(spec: Slurm, tmp_path: Path) -> None:
    ended: list[Done] = []

    def warn(place: int, event: Json) -> None:
        if not (tmp_path / "go").exists():
            os.kill(began(tmp_path)[0], signal.SIGUSR2)  # as Slurm does before the limit
            assert until((tmp_path / "saved-0").exists)
            (tmp_path / "go").touch()

    ended += Jobs(spec).run(work(), cut(tmp_path, 1, waits=True), warn)

    assert ended == [Done(0, {"number": 0}, None)]
    assert len(began(tmp_path)) == 2
    assert submitted(spec) == 1


def test_a_job_that_another_hand_stops_saves_and_leaves_its_point_open(spec: Slurm, tmp_path: Path) -> None:
    executor = Jobs(spec)
    executor.grace, executor.queue.look = 2.0, 0.5

    def stop(place: int, event: Json) -> None:
        os.kill(began(tmp_path)[0], signal.SIGTERM)

    (done,) = executor.run(work(), cut(tmp_path, 1, waits=True), stop)

    assert (tmp_path / "saved-0").exists()
    assert done.answer is None
    assert "ended without an answer (killed, cancelled" in str(done.problem)


def test_pickles_hold_the_name_of_one_function_and_paths(spec: Slurm, tmp_path: Path) -> None:
    list(Jobs(spec).run(work(), cut(tmp_path, 2), lambda *_: None))

    names = set()
    for path in Path(spec.folder).glob("submitit/*.pkl"):
        strings: list[str] = []
        for code, value, _ in pickletools.genops(path.read_bytes()):
            if code.name in ("SHORT_BINUNICODE", "BINUNICODE"):
                strings.append(str(value))
            elif code.name == "STACK_GLOBAL":
                names.add(tuple(strings[-2:]))
            assert code.name not in ("REDUCE", "GLOBAL", "INST"), path
    assert names == {("submitit.core.utils", "DelayedSubmission"), ("crt_slurm.job", "do")}


SCRIPT = """\
import sys
from crt_slurm.executor import Jobs
from crt_slurm.spec import Slurm
from pieces import work
cluster, folder, top, save = sys.argv[1:]
pieces = [{"number": number, "folder": top, "waits": True, "save": float(save)} for number in range(2)]
executor = Jobs(Slurm(cluster=cluster, folder=folder, minutes=10, parallel=2))
print(sorted((each.place, each.answer) for each in executor.run(work, pieces, lambda *_: None)))
"""


@pytest.fixture
def command(spec: Slurm, tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts a process that waits for two jobs, which wait for the file `go`, and save for some seconds if stopped."""
    (tmp_path / "script.py").write_text(SCRIPT)
    started: list[subprocess.Popen[str]] = []

    def start(save: float = 0.2) -> subprocess.Popen[str]:
        words = [sys.executable, str(tmp_path / "script.py"), spec.cluster, spec.folder, str(tmp_path), str(save)]
        started.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True))
        return started[-1]

    yield start
    (tmp_path / "go").touch()
    for process in started:
        process.kill()
        process.communicate()


def test_jobs_outlive_a_killed_command_and_the_same_one_finds_them(command: Any, spec: Slurm, tmp_path: Path) -> None:
    killed = command()
    assert until(lambda: len(began(tmp_path)) == 2)
    killed.kill()
    killed.wait()
    again = command()
    time.sleep(2)
    (tmp_path / "go").touch()

    printed, _ = again.communicate(timeout=PATIENCE)

    assert printed.strip() == str([(0, {"number": 0}), (1, {"number": 1})])
    assert submitted(spec) == 2
    assert len(began(tmp_path)) == 2


def test_a_ctrl_c_to_the_whole_group_reaches_the_command_alone_and_jobs_save(
    command: Any, spec: Slurm, tmp_path: Path
) -> None:
    process = command()
    assert until(lambda: len(began(tmp_path)) == 2)

    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=PATIENCE)

    assert len(list(tmp_path.glob("saved-*"))) == 2
    assert not any(map(alive, began(tmp_path)))


def test_a_second_ctrl_c_kills_jobs_that_save(command: Any, spec: Slurm, tmp_path: Path) -> None:
    process = command(save=10 * PATIENCE)
    assert until(lambda: len(began(tmp_path)) == 2)

    process.send_signal(signal.SIGINT)
    time.sleep(1)  # so that the two do not become one
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)

    assert until(lambda: not any(map(alive, began(tmp_path))))
    assert list(tmp_path.glob("saved-*")) == []


def bits(runs: Path) -> dict[str, str]:
    """Hashes of results and weights."""
    paths = [path for name in ("result.json", "tensors.safetensors") for path in runs.rglob(name)]
    return {str(path.relative_to(runs)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def crt(*words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "crtcore", "sweep", str(SPEC), *SWEEP, "--quiet", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_sweep_whose_command_is_killed_goes_on_and_has_the_bits_of_local(spec: Slurm, tmp_path: Path) -> None:
    slurm = ["executor.use=slurm", f"executor.cluster={spec.cluster}", f"executor.folder={spec.folder}", "--runs", "a"]
    killed = crt(*slurm)
    assert until(lambda: list((tmp_path / "a" / "stages").glob("tokenizer/*/records.jsonl")))
    killed.kill()
    killed.communicate()
    again = crt(*slurm)

    _, errors = again.communicate(timeout=PATIENCE)

    assert again.returncode == 0, errors
    jobs = submitted(spec)  # one more for each that ended while the command started: it reads the result
    here = crt("--runs", "b")
    here.communicate(timeout=PATIENCE)
    assert here.returncode == 0
    assert len(bits(tmp_path / "a")) == 10
    assert bits(tmp_path / "a") == bits(tmp_path / "b")
    third = crt(*slurm)
    third.communicate(timeout=PATIENCE)
    assert (third.returncode, submitted(spec)) == (0, jobs)  # nothing is run again


def test_answers_are_those_of_local(spec: Slurm, tmp_path: Path) -> None:
    pieces = cut(tmp_path, 3)

    ours = sorted(Jobs(spec).run(work(), pieces, lambda *_: None))

    assert ours == sorted(LocalProcesses(Local(workers=2)).run(work(), pieces, lambda *_: None))
