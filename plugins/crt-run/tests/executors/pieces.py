"""Work for the tests of executors, importable in a worker."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import torch

from crtcore.kinds import Json, Report
from crtcore.loading import call


def work(piece: Json, report: Report) -> Json:
    """Does what the piece says."""
    report({"event": "began", "pid": os.getpid(), "threads": torch.get_num_threads()})
    if "raise" in piece:
        raise KeyError(piece["raise"])
    if "late" in piece:
        call("x", signal.raise_signal, signal.SIGALRM)  # as the timer does at the limit
    if "die" in piece:
        os.kill(os.getpid(), signal.SIGKILL)
    if "wait" in piece:
        _wait(Path(piece["wait"]), float(piece["save"]))
    return {"double": 2 * piece["number"]}


def _wait(folder: Path, save: float) -> None:
    """Until SIGTERM comes; then takes some time to save, as a run does."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
    (folder / f"began-{os.getpid()}").touch()
    while not asked:
        time.sleep(0.01)
    time.sleep(save)
    (folder / f"saved-{os.getpid()}").touch()
