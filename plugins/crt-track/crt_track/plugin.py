"""The hooks of this package: each run that starts opens a sink in every tracker that is chosen."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from crt_cli.console import say
from crt_track.sinks import Sink, Started, check, opened
from crtcore.errors import in_one_line
from crtcore.hooks import hookimpl

CHOSEN = "CRT_TRACK"
"""The environment variable with the names of trackers, which `crt run --track` sets."""


class Tracking:
    """The sinks of the runs that go on now."""

    def __init__(self) -> None:
        self.sinks: dict[Path, dict[str, Sink]] = {}
        self.broken: set[str] = set()
        """Trackers that have raised; they get nothing more."""

    @hookimpl
    def crt_run_started(self, folder: Path, spec: Mapping[str, Any]) -> None:
        """Opens the chosen trackers for a run.

        Raises: NotInstalled or RunError if one is unknown, or its library is not installed.
        """
        names = [name for name in chosen() if name not in self.broken]
        check(names)
        started = Started(folder.parent.name, f"{folder.name}-{time.strftime('%Y%m%d-%H%M%S')}", folder, spec)
        self.sinks[folder] = {}
        for name in names:
            self._try(name, partial(self._open, name, started))

    @hookimpl
    def crt_reading(self, folder: Path, stage: str, step: int, name: str, value: float) -> None:
        """Writes a reading."""
        for tracker, sink in self.sinks.get(folder, {}).items():
            self._try(tracker, partial(sink.reading, stage, step, name, value))

    @hookimpl
    def crt_run_ended(self, folder: Path, problem: str | None) -> None:
        """Writes the numbers of the result, and closes."""
        sinks = self.sinks.pop(folder, {})
        numbers = numbers_of(folder) if sinks and problem is None else {}
        for tracker, sink in sinks.items():
            self._try(tracker, partial(sink.end, numbers, problem))

    def _open(self, name: str, started: Started) -> None:
        self.sinks[started.folder][name] = opened(name, started)

    def _try(self, tracker: str, write: Callable[[], None]) -> None:
        """Writes, unless the tracker has raised before; what it raises now is one warning."""
        if tracker in self.broken:
            return
        try:
            write()
        except Exception as error:  # whatever a library raises, and the other trackers go on
            self.broken.add(tracker)
            say(f"warning: tracker {tracker}: {in_one_line(error)}; it gets nothing more, and the run goes on")


def chosen() -> list[str]:
    """The names in `CRT_TRACK`, apart by spaces or commas."""
    return list(dict.fromkeys(os.environ.get(CHOSEN, "").replace(",", " ").split()))


def numbers_of(folder: Path) -> dict[str, float]:
    """The numbers in the result of a run."""
    import json  # a list of commands does not need it

    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return {name: float(each["value"]) for name, each in result["numbers"].items()}


hooks = Tracking()
"""What the entry point names."""
