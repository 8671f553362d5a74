"""A script: imports torch once, then kills a command of a process of its own for each line on its input.

Usage: killed.py FOLDER SPEC...; a line is JSON with `spec` (a place in the list), `signal`, `whose`, `moments` (shares
of the time that the command takes), and `real`. The answer is JSON: statuses, what the processes printed, whether the
results of the command given again are those of one that nobody killed, and what was left behind.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import filelock
import torch

import crt_report.page
from crt_cli.commands import main
from crt_run.executors import local
from crt_run.runs.execute import execute
from crt_run.sweeps import sweep
from crtcore.compose.plan import load
from crtcore.registry import discover

PATIENCE = 900.0
"""Seconds after which a command hangs."""


def hire(threads: int) -> local.Worker:
    """A forked worker, which has nothing left to import; it closes the ends of pipes that a spawned one never has."""
    context: Any = multiprocessing.get_context("fork")
    taken, orders = context.Pipe(duplex=False)
    news, sent = context.Pipe(duplex=False)

    def serve() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        orders.close()
        news.close()
        local._serve(taken, sent, threads)

    process = context.Process(target=serve)
    process.start()
    taken.close()
    sent.close()
    return local.Worker(process, orders, news)


class Command:
    """`crt run` of a spec in a session of its own, forked or from the start."""

    def __init__(self, spec: Path, runs: Path, *, real: bool) -> None:
        self.runs = runs
        self.words = ["run", str(spec), "--runs", str(runs), "--json"]
        self.errors = runs.with_suffix(".errors")
        with self.errors.open("ab") as errors:
            if real:
                words = [sys.executable, "-m", "crt_cli", *self.words]
                self.pid = subprocess.Popen(words, stdout=errors, stderr=errors, start_new_session=True).pid
            else:
                self.pid = os.fork() or self.run(errors.fileno())

    def run(self, errors: int) -> int:
        """Runs the command, in the child."""
        os.setsid()
        for number in (1, 2):
            os.dup2(errors, number)
        local._hire = hire  # type: ignore[assignment]
        sweep.rehearse = lambda *_: {}  # type: ignore[assignment]
        crt_report.page.render = crt_report.page.Page  # type: ignore[assignment] # drawing takes longer than the run
        status = 1
        try:
            main(self.words)
        except SystemExit as end:
            status = int(end.code or 0)
        except KeyboardInterrupt:  # before the command catches it
            status = 130
        finally:
            os._exit(status)

    def workers(self) -> list[int]:
        """The processes of the session but the first."""
        listing = subprocess.run(["pgrep", "-s", str(self.pid)], capture_output=True, text=True, check=False)
        return [int(each) for each in listing.stdout.split() if int(each) != self.pid]

    def ended(self, after: float = PATIENCE, number: int = signal.SIGKILL, whose: str = "parent") -> int:
        """The status, once a signal was sent after some seconds unless it ends before."""
        end = time.monotonic() + after
        while not (got := os.waitpid(self.pid, os.WNOHANG))[0]:
            if time.monotonic() > end:
                end = time.monotonic() + PATIENCE
                self.send(number, whose)
                number, whose = signal.SIGKILL, "group"  # one that does not end is a fault
            time.sleep(0.001)
        return os.waitstatus_to_exitcode(got[1])

    def send(self, number: int, whose: str) -> None:
        """Sends a signal to the first process, its session, or one of its workers."""
        if whose == "group":
            os.killpg(self.pid, number)
        elif whose == "parent":
            os.kill(self.pid, number)
        elif workers := self.workers():
            try:
                os.kill(workers[-1], signal.SIGKILL)
            except ProcessLookupError:
                return


def hashed(runs: Path) -> dict[str, str]:
    """File to hash of all results."""
    return {
        str(path.relative_to(runs)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(runs.glob("*/*/result.json"))
    }


def left(runs: Path) -> list[str]:
    """What a kill left that nothing needs: older checkpoints, temporary files, locks that are held."""
    names = [path for path in runs.rglob("*") if path.name.startswith((".tmp-", "step-")) or path.suffix == ".part"]
    for path in runs.rglob("*.lock"):
        try:
            filelock.FileLock(path).acquire(timeout=0.01).lock.release()
        except filelock.Timeout:
            names.append(path)
    return [str(path.relative_to(runs)) for path in names]


def traceback(printed: str) -> str:
    """The last traceback; empty if there is none."""
    return printed[printed.rindex("Traceback") :][:4000] if "Traceback" in printed else ""


def trial(spec: Path, runs: Path, whole: dict[str, str], length: float, order: dict[str, Any]) -> dict[str, Any]:
    """Kills a command some times, then gives it once more."""
    statuses = []
    for moment in order["moments"]:
        command = Command(spec, runs, real=order["real"])
        statuses.append(command.ended(moment * length, order["signal"], order["whose"]))
    errors = runs.with_suffix(".errors")
    printed = errors.read_text(errors="replace")
    errors.unlink()
    again = Command(spec, runs, real=order["real"]).ended()
    answer = {
        "statuses": statuses, "printed": printed[-2000:], "traceback": traceback(printed), "again": again,
        "same": hashed(runs) == whole, "left": left(runs),
    }  # fmt: skip
    if again:
        answer["printed"] = errors.read_text(errors="replace")[-2000:]
    shutil.rmtree(runs)
    errors.unlink(missing_ok=True)
    return answer


def serve(folder: Path, specs: list[Path]) -> None:
    """Answers lines until there are no more."""
    torch.set_num_threads(1)
    wholes, lengths = [], []
    execute(load(specs[0], discover()).points[0].plan, folder / "warm")  # here, so that no child imports anything
    for place, spec in enumerate(specs):
        began = time.monotonic()
        runs = folder / f"whole-{place}"
        assert Command(spec, runs, real=False).ended() == 0, runs.with_suffix(".errors").read_text()
        lengths.append(time.monotonic() - began)
        wholes.append(hashed(runs))
        assert wholes[-1]
        assert not left(runs)
    for line in sys.stdin:
        order = json.loads(line)
        place = order["spec"]
        length = lengths[place] + (10.0 if order["real"] else 0.0)
        answer = trial(specs[place], folder / "runs", wholes[place], length, order)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), [Path(word) for word in sys.argv[2:]])
