"""A script: imports torch once, then kills a run at random moments, a process a trial, and compares what came out.

Usage: killed.py SPEC FOLDER SEED KILLS; prints one JSON document.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from crt_run.runs.execute import execute
from crt_run.runs.run import address
from crtcore.compose.plan import load
from crtcore.kinds import Plan
from crtcore.registry import discover


def child(plan: Plan, runs: Path) -> int:
    """Starts the run in a process of its own."""
    pid = os.fork()
    if not pid:
        execute(plan, runs)
        os._exit(0)
    return pid


def ended(pid: int, after: float | None = None) -> int:
    """The status of a child, killed after some seconds unless it ends before."""
    end = None if after is None else time.monotonic() + after
    while True:
        got, status = os.waitpid(pid, 0 if end is None else os.WNOHANG)
        if got:
            return status
        if end is not None and time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            end = None
        else:
            time.sleep(0.001)


def main(spec: Path, folder: Path, seed: int, wanted: int) -> None:
    """Measures an undisturbed run, then kills others all along its length."""
    plan = load(spec, discover()).points[0].plan
    random.seed(seed)

    def hashed(runs: Path) -> str:
        return hashlib.sha256((address(plan, runs) / "result.json").read_bytes()).hexdigest()

    torch.set_num_threads(1)
    execute(plan, folder / "warm")  # here, so that no child has anything left to import
    started = time.monotonic()
    ended(child(plan, folder / "whole"))
    length = time.monotonic() - started
    kills, steps, hashes = 0, set(), []
    while kills < wanted:  # a moment past the end of a run that went on kills nothing
        runs = folder / str(len(hashes))
        moments = [
            length * (len(hashes) % 8 + random.random()) / 8,
            *(length * random.uniform(0.05, 0.2) for _ in "ab"),
        ]
        for moment in moments:
            kills += os.WIFSIGNALED(ended(child(plan, runs), moment))
            steps |= {path.relative_to(runs).parts[1:4:2] for path in runs.glob("stages/*/*/*") if path.is_dir()}
        assert ended(child(plan, runs)) == 0
        hashes.append(hashed(runs))
    sys.stdout.write(
        json.dumps({"whole": hashed(folder / "whole"), "hashes": hashes, "kills": kills, "places": len(steps)})
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
