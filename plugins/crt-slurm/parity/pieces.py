"""Work for the tests, importable in a job."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from crtcore.kinds import Json, Report

PATIENCE = 60.0


def work(piece: Json, report: Report) -> Json:
    """Leaves its process's number; then does what the piece says."""
    folder = Path(piece["folder"])
    with (folder / f"began-{piece['number']}").open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")
    report({"event": "began", "number": piece["number"]})
    if piece["number"] in piece.get("dies", ()):
        os.kill(os.getpid(), signal.SIGKILL)
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
    end = time.monotonic() + PATIENCE
    while piece.get("waits") and not asked and not (folder / "go").exists() and time.monotonic() < end:
        time.sleep(0.01)
    if asked:
        time.sleep(piece.get("save", 0.2))
        (folder / f"saved-{piece['number']}").touch()
        return {"stopped": True}
    return {"number": piece["number"]}
