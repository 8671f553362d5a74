"""Ctrl-C and SIGTERM at any moment of a command: it ends with its status and one line.

Covered is everything from the first instruction of `crt_cli.__main__` to the end of the process. The interpreter's own
start, some 20 ms in which Python reads `site`, is not: a Ctrl-C there is answered by Python. So the signal of a case
waits until the command has set what SIGTERM does, which its status under /proc shows.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
WORDS = (
    ["list"], ["list", "--json"], ["check", "specs/smoke.toml"], ["schema"], ["show", "fsq"], ["--help"],
    ["run", "specs/smoke.toml", "--runs", "{runs}"], ["check", "specs/smoke.toml", "--rehearse"],
)  # fmt: skip
PATIENCE = 60.0
LATEST, LONGER = 0.4, 3.0
"""Seconds from the start of a process to the last signal: one that imports no torch, and one that does."""
LINES = {signal.SIGINT: "stopped", signal.SIGTERM: "terminated"}
KEPT = "; what is finished is kept, and the same command goes on from there"

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")


def start(words: list[str], runs: Path) -> subprocess.Popen[str]:
    given = [word.format(runs=runs) for word in words]
    return subprocess.Popen(
        [sys.executable, "-m", "crt_cli", *given], text=True, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        process_group=0, env={**os.environ, "PYTHONWARNINGS": "ignore", "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip


def answers(process: subprocess.Popen[str]) -> bool:
    """Whether the process has set what SIGTERM does; True as well once it has ended."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        return True
    caught = [line.split()[1] for line in lines if line.startswith("SigCgt:")]
    return not caught or bool(int(caught[0], 16) >> (signal.SIGTERM - 1) & 1) or process.poll() is not None


def attempt(words: list[str], number: signal.Signals, delay: float, runs: Path) -> tuple[str, str]:
    """How a command ended that got a signal, and what was wrong."""
    process = start(words, runs)
    began = time.monotonic()
    while time.monotonic() < began + delay or not answers(process):
        time.sleep(0.001)
        assert time.monotonic() < began + PATIENCE
    with contextlib.suppress(ProcessLookupError):  # it has ended
        os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)  # as terminals do
    try:
        _, errors = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return "hang", f"{words} {number.name} after {delay:.3f} s"
    status, lines = process.returncode, errors.splitlines()
    ends = [line for line in lines if line.removesuffix(KEPT) in LINES.values()]
    about = f"{words} {number.name} after {delay:.3f} s: status {status}: {errors[-2000:]!r}"
    if "Traceback" in errors or "Aborted" in errors or "Exception ignored" in errors:
        return "traceback", about
    if status == 0 and not ends:
        return "unharmed", about  # it had ended before
    if status == 128 + number and len(ends) == 1 and lines[-1] == ends[0] and ends[0].startswith(LINES[number]):
        return "refused", about
    if status == -number and not ends:
        return "refused", about  # after Python has given up its handlers, at the end of the process
    return "silent", about


def test_a_signal_at_any_moment_ends_a_command_with_its_status_and_one_line(faults: Any, tmp_path: Path) -> None:
    for case in faults.cases(reduced=12, full=300):
        words = WORDS[case.number % len(WORDS)]
        number = (signal.SIGINT, signal.SIGTERM)[(case.number + case.number // len(WORDS)) % 2]
        longest = LONGER if words[0] == "run" or "--rehearse" in words else LATEST
        outcome, about = attempt(words, number, case.random.uniform(0, longest), tmp_path / str(case.number))
        faults.record(case, outcome, about)

    assert not faults.wrong


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_plugin_is_imported_is_not_taken_for_a_fault_of_the_plugin(
    number: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "slow.py").write_text("import time, pathlib\npathlib.Path('here').touch()\ntime.sleep(60)\n")
    about = tmp_path / "slow-0.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text("[crtcore]\nslow = slow\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-m", "crt_cli", "list"], text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    until = time.monotonic() + PATIENCE
    while not (tmp_path / "here").exists() and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(number)

    assert process.communicate(timeout=PATIENCE) == ("", f"{LINES[number]}\n")
    assert process.returncode == 128 + number


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """As a shell starts what it puts in the background."""
    code = (
        "import os, signal, sys\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'crt_cli', 'list'])"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for _ in range(20):
        time.sleep(random.Random(0).uniform(0.005, 0.02))
        process.send_signal(signal.SIGINT) if process.poll() is None and answers(process) else None
    _, errors = process.communicate(timeout=PATIENCE)

    assert (process.returncode, errors) == (0, b"")
