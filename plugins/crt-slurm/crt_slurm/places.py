"""The folder of a piece of work: what its job reads, and what the job leaves for the command that waits for it.

All files are JSON. They are how a job on another node reports, and how a command that was killed finds its jobs again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crt_run.runs import files
from crtcore.kinds import Json, Work
from crtcore.spec import resolve

PIECE = "piece.json"
JOB = "job.json"
EVENTS = "events.jsonl"
ANSWER = "answer.json"
LOCK = "lock"
STOP = "stop.json"


def named(work: Work) -> str:
    """The name that another process imports work by.

    Raises: ValueError if it is not the function of a module.
    """
    name = f"{work.__module__}:{work.__qualname__}"
    if work.__module__ == "__main__" or "<" in name or resolve(name) is not work:
        raise ValueError(f"expected a function of a module that other processes can import, got {name}")
    return name


class Place:
    """The folder of one piece."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read = 0
        """Bytes of events that were read."""

    @property
    def job(self) -> dict[str, Any]:
        """What is known of its job: `id`, and `process` once it runs; empty: nothing."""
        return _json(self.folder / JOB)

    @property
    def answer(self) -> dict[str, Any]:
        """What the job left at its end: `answer` and `problem`; empty: it has not ended."""
        return _json(self.folder / ANSWER)

    @property
    def stopping(self) -> bool:
        """True once the command that waits for the piece has asked its job to stop."""
        return (self.folder / STOP).exists()

    def begin(self, text: str) -> None:
        """Writes the work of a new job, and removes what an earlier one has left.

        Raises: RunError if writing fails.
        """
        for name in (ANSWER, EVENTS, JOB, STOP):
            with files.writing(self.folder / name):
                (self.folder / name).unlink(missing_ok=True)
        files.write(self.folder / PIECE, text.encode())
        self.read = 0

    def write(self, name: str, values: Json) -> None:
        """Writes a file at once.

        Raises: RunError if writing fails.
        """
        files.write(self.folder / name, json.dumps(values).encode())

    def add(self, event: Json) -> None:
        """Adds an event; the file is closed each time, so that other nodes see it."""
        with (self.folder / EVENTS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")

    def events(self) -> list[Json]:
        """The events since the last call."""
        path = self.folder / EVENTS
        try:
            with path.open("rb") as file:
                file.seek(self.read)
                lines = file.read().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        whole = [line for line in lines if line.endswith(b"\n")]  # the last one may be half written
        self.read += sum(map(len, whole))
        return [json.loads(line) for line in whole]


def places(folder: Path, work: str, pieces: Sequence[Json], threads: int) -> list[tuple[Place, str]]:
    """The folder of each piece, named after what is in it, and the text that its job reads."""
    texts = [json.dumps({"work": work, "piece": piece, "threads": threads}) for piece in pieces]
    times: dict[str, int] = {}
    made = []
    for text in texts:
        times[text] = times.get(text, 0) + 1
        name = hashlib.sha256(f"{Path.cwd()}\n{times[text]}\n{text}".encode()).hexdigest()[:16]
        made.append((Place(folder / name), text))
    return made


def _json(path: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    return values
