"""`crt run` on ranks, as a user starts it: killed, stopped, and started wrongly."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SPEC = """
name = "small"
experiment.use = "compression"
dataset = { use = "digits", test = 20, validation = 20 }
tokenizer = { use = "conv", channels = 4 }
bottleneck = { use = "vq", codes = 16, decay = 0.9, start = "k-means" }
training.tokenizer = { steps = 150, batch = 9, checkpoint = 5 }
"""
SECONDS = 500


def spec(runs: Path) -> str:
    """A file beside the folder of runs."""
    runs.parent.mkdir(parents=True, exist_ok=True)
    path = runs.with_suffix(".toml")
    path.write_text(SPEC, encoding="utf-8")
    return str(path)


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    return kept | {"OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "FATAL"} | more


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port: int = opened.getsockname()[1]
        return port


@contextmanager
def torchrun(runs: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Two ranks that run the spec; the process and what it started are killed at the end."""
    command = ["-m", "torch.distributed.run", "--local-addr", "127.0.0.1", "--master-addr", "127.0.0.1"]
    command += [
        "--master-port",
        str(free_port()),
        "--nproc-per-node",
        "2",
        *options,
        "-m",
        "crtcore",
        "run",
        spec(runs),
    ]
    process = subprocess.Popen(
        [sys.executable, *command, "--runs", str(runs), "--json"],
        env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        for number in workers(process.pid):
            os.kill(number, signal.SIGKILL)
        process.kill()
        process.wait()


def workers(agent: int) -> list[int]:
    """The processes that torchrun has started, by rank."""
    children = Path(f"/proc/{agent}/task/{agent}/children")
    return [int(each) for each in children.read_text().split()] if children.exists() else []


def await_checkpoint(runs: Path, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + SECONDS
    while not list(runs.glob("stages/tokenizer/*/step-*/COMMITTED")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)


def weights(runs: Path) -> list[bytes]:
    contents = [path.read_bytes() for path in sorted(runs.glob("stages/*/*/final/tensors.safetensors"))]
    assert len(contents) == 1
    return contents


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("undisturbed") / "runs"
    with torchrun(runs) as process:
        out, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, errors
    assert json.loads(out)["numbers"]
    return runs


@pytest.mark.slow
def test_the_first_rank_alone_prints_and_keeps_files(undisturbed: Path) -> None:
    (about,) = undisturbed.glob("small/*/run.json")

    assert json.loads(about.read_text())["ranks"] == 2
    assert sorted(path.name for path in undisturbed.iterdir()) == ["small", "stages"]
    assert len(weights(undisturbed)) == 1


@pytest.mark.slow
def test_a_killed_rank_is_started_again_and_the_result_is_the_same(undisturbed: Path, tmp_path: Path) -> None:
    with torchrun(tmp_path, "--max-restarts", "1") as process:
        await_checkpoint(tmp_path, process)
        os.kill(workers(process.pid)[1], signal.SIGKILL)
        _, errors = process.communicate(timeout=SECONDS)

    assert process.returncode == 0, errors
    assert weights(tmp_path) == weights(undisturbed)
    (one, other) = (next(runs.glob("small/*/result.json")).read_bytes() for runs in (tmp_path, undisturbed))
    assert one == other


@pytest.mark.slow
def test_sigterm_stops_all_ranks_after_a_save_and_the_same_command_goes_on(undisturbed: Path, tmp_path: Path) -> None:
    with torchrun(tmp_path) as process:
        await_checkpoint(tmp_path, process)
        process.terminate()
        _, errors = process.communicate(timeout=SECONDS)

    assert process.returncode != 0
    assert errors.count("terminated; what is finished is kept, and the same command goes on from there") == 1
    assert len(list(tmp_path.glob("stages/tokenizer/*/step-*/COMMITTED"))) == 1
    with torchrun(tmp_path) as process:
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, errors
    assert weights(tmp_path) == weights(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "hangs"])
def test_a_rank_that_dies_or_hangs_in_a_step_is_given_up(number: signal.Signals, tmp_path: Path) -> None:
    port, more = free_port(), ("training.tokenizer.steps=100000", "training.tokenizer.checkpoint=100000")
    processes = [
        started(
            tmp_path / str(each),
            *more,
            before="import crt_run.ranks.group as group; group.STEP = 40;",
            **rank(each, port),
        )
        for each in range(2)
    ]
    try:
        until = time.monotonic() + SECONDS
        while not list(tmp_path.glob("0/stages/tokenizer/*/records.jsonl")):
            assert all(process.poll() is None for process in processes)
            assert time.monotonic() < until
            time.sleep(0.05)
        processes[1].send_signal(number)
        _, printed = processes[0].communicate(timeout=SECONDS)
    finally:
        for process in processes:
            process.kill()

    assert processes[0].returncode == 1
    assert printed.count("rank 0: lost another rank, which ended, or did not answer for 40 s (") == 1
    assert printed.endswith("what is finished is kept, and the same command goes on from there\n")


# Started wrongly

QUICK = "import crt_run.ranks.group as group; group.START = 3;"
FULL = (
    "import errno; from crt_run.runs import records\n"
    "def full(*_): raise OSError(errno.ENOSPC, 'No space left on device')\n"
    "records._line = full\n"
)
MAIN = "\nimport runpy; runpy.run_module('crtcore', run_name='__main__', alter_sys=True)"


def started(runs: Path, *arguments: str, before: str = "", **env: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", before + MAIN, "run", spec(runs), *arguments, "--runs", str(runs)]
    return subprocess.Popen(command, env=environment(**env), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(processes: list[subprocess.Popen[str]]) -> tuple[list[int], list[str]]:
    """Exit statuses, and what each printed on stderr."""
    try:
        printed = [process.communicate(timeout=SECONDS)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [process.returncode for process in processes], printed


def rank(number: int, port: int, size: int = 2) -> dict[str, str]:
    return {
        "RANK": str(number), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip


def test_half_an_environment_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    statuses, (printed,) = ended([started(tmp_path, WORLD_SIZE="2")])

    assert statuses == [1]
    assert printed.startswith(
        "environment: expected RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT, as torchrun sets them,"
    )
    assert "got WORLD_SIZE and no RANK, MASTER_ADDR, MASTER_PORT; start the ranks with `torchrun" in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("RANK", "two", "environment: RANK: expected a whole number, got 'two'\n"),
        ("RANK", "2", "got RANK=2, WORLD_SIZE=2, MASTER_PORT=29500\n"),
        ("MASTER_PORT", "70000", "got RANK=0, WORLD_SIZE=2, MASTER_PORT=70000\n"),
    ],
)
def test_an_environment_that_cannot_be_is_refused(name: str, value: str, expected: str, tmp_path: Path) -> None:
    statuses, (printed,) = ended([started(tmp_path, **(rank(0, 29500) | {name: value}))])

    assert statuses == [1]
    assert printed.endswith(expected)
    assert printed.count("\n") == 1


@pytest.mark.slow
def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        statuses, (printed,) = ended([started(tmp_path, **rank(0, port))])

    assert statuses == [1]
    assert printed == (
        f"rank 0: cannot meet the other ranks at 127.0.0.1, port {port}: another program uses this port; "
        "choose another with --master-port (or MASTER_PORT)\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("here", [0, 1])
def test_a_rank_that_never_comes_is_not_waited_for(here: int, tmp_path: Path) -> None:
    port = free_port()

    statuses, (printed,) = ended([started(tmp_path, before=QUICK, **rank(here, port))])

    assert statuses == [1]
    assert printed.startswith(f"rank {here}: cannot meet the other ranks at 127.0.0.1, port {port} within 3 s (")
    assert printed.endswith("); start all 2 ranks, each with the address of the first\n")
    assert printed.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (
            lambda runs, number, port: started(runs, f"seed={number}", **rank(number, port)),
            "rank 1: expected the points",
        ),
        (
            lambda runs, number, port: started(runs, before=FULL if number == 0 else "", **rank(number, port)),
            "no space left; free some and give the same command again, what is finished is kept",
        ),
        (
            lambda runs, number, port: started(runs, before=FULL if number == 1 else "", **rank(number, port)),
            "no space left; free some and give the same command again, what is finished is kept",
        ),
    ],
    ids=["different-specs", "full-disk-of-the-first", "full-disk-of-another"],
)
def test_one_rank_says_what_is_wrong_and_both_end(
    start: Callable[[Path, int, int], subprocess.Popen[str]], expected: str, tmp_path: Path
) -> None:
    port = free_port()
    began = time.monotonic()

    statuses, printed = ended([start(tmp_path / str(number), number, port) for number in range(2)])

    assert statuses == [1, 1]
    assert sum(expected in each for each in printed) == 1, printed
    assert not any("Traceback" in each or "lost another rank" in each for each in printed), printed
    assert time.monotonic() - began < SECONDS
