"""The work that executors are given by their laws: it leaves marks in a folder, so that another process can be watched.

It imports no torch, as each worker process imports this module.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path

from crtcore.kinds import Json, Report

PATIENCE = 20.0
"""Seconds after which work that nobody stops ends by itself."""
CLOSING = "closing"
"""The mark that a law leaves before it closes the iterator."""


def mark(folder: Path, name: str) -> None:
    """Adds a character to a file, which two processes can do at once."""
    with (folder / name).open("a", encoding="utf-8") as file:
        file.write("x")


def marks(folder: Path, name: str) -> int:
    """How many marks of that name there are."""
    path = folder / name
    return len(path.read_text(encoding="utf-8")) if path.exists() else 0


def plain(piece: Json, report: Report) -> Json:
    """Leaves a mark, reports two events, and returns the piece.

    Raises: ValueError if the piece asks for it.
    """
    mark(Path(piece["folder"]), str(piece["number"]))
    for event in ("began", "ended"):
        report({"event": event, "number": piece["number"]})
    if piece.get("fails"):
        raise ValueError(f"piece {piece['number']} is at fault")
    return piece


def lasting(piece: Json, report: Report) -> Json:
    """Piece 0 ends once piece 1 has begun, or after 2 s; the others last until they get SIGTERM, and then save.

    One that begins after the law has closed the iterator ends at once, without a mark of having saved.
    """
    folder, number = Path(piece["folder"]), piece["number"]
    stopped: list[bool] = []
    before = signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    try:
        late = marks(folder, CLOSING) > 0
        mark(folder, f"began-{number}")
        end = time.monotonic() + (PATIENCE if number else 2.0)
        while not (late or stopped or time.monotonic() > end or (number == 0 and marks(folder, "began-1"))):
            time.sleep(0.01)
        if stopped:
            time.sleep(0.1)  # what it takes to save
            mark(folder, f"saved-{number}")
    finally:
        signal.signal(signal.SIGTERM, before)
    return {"number": number}
