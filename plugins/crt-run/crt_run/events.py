"""Events of runs, given to every installed package that implements a hook of them; none of these can stop a run.

Each package has a thread of its own, so that a slow one delays no other and no training.
"""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pluggy

from crt_cli.guard import LEFT
from crtcore.errors import in_one_line
from crtcore.hooks import PROJECT, Hooks
from crtcore.loading import Failed, call
from crtcore.registry import installed_entries, named

HOOKS = ("crt_run_started", "crt_reading", "crt_checkpoint_saved", "crt_run_ended")
LIMIT = 60.0
"""Seconds that one call may take, and that all calls that are left may take at the end; libraries start slowly."""
WAITING = 100_000
"""The most calls that wait for a package."""
NO_READINGS = ("event", "stage", "step", "steps", "start", "again")
"""Keys of a record that are no readings."""

Call = tuple[str, dict[str, Any]]


class Listener(threading.Thread):
    """Makes the calls of one package, one after another, until one of them fails or takes too long."""

    def __init__(self, who: str, hooks: Any, warn: Callable[[str], None]) -> None:
        super().__init__(name=f"events for {who}", daemon=True)
        self.who = who
        self.hooks = hooks
        self.warn = warn
        self.calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self.left = False
        """True: it gets no more calls."""
        self.busy: tuple[float, str] | None = None
        """When the call that it makes now began, and of which hook it is."""

    def run(self) -> None:
        """Makes calls until there is no more."""
        while (each := self.calls.get()) is not None and not self.left:
            hook, given = each
            self.busy = time.monotonic(), hook
            try:
                getattr(self.hooks, hook)(**given)
            except BaseException as error:  # whatever it raises: SystemExit would end this thread alone
                self.leave(f"{hook} raised {in_one_line(error)}")
            self.busy = None

    def give(self, hook: str, given: dict[str, Any]) -> None:
        """Adds a call, unless the package hangs."""
        if self.left:
            return
        if self.hangs:
            self.leave(f"{self.hangs} gives no answer in {LIMIT:g} s")
        elif self.calls.qsize() >= WAITING:
            self.leave(f"{WAITING:,} calls are waiting")
        else:
            self.calls.put((hook, given))

    @property
    def hangs(self) -> str:
        """The hook whose call takes too long; empty: none does."""
        busy = self.busy
        return busy[1] if busy is not None and time.monotonic() - busy[0] > LIMIT else ""

    def leave(self, why: str) -> None:
        """Gives it no more calls, with one warning."""
        if not self.left:
            self.left = True
            self.warn(f"warning: {self.who}: {why}; it gets no more events, and the run goes on")


class Listeners:
    """The packages that implement hooks of events; a context at whose end they have had all events, or are left."""

    def __init__(self, warn: Callable[[str], None], plugins: list[EntryPoint] | None = None) -> None:
        entries = installed_entries()[0] if plugins is None else plugins  # others name those that cannot be read
        self.folders: dict[int, Path] = {}
        self.reached: dict[tuple[int, str, str], int] = {}
        """The last step of each reading: a stage that goes on reports those before once more."""
        self.listeners = [Listener(named(e), hooks, warn) for e in entries if (hooks := _hooks(e)) is not None]

    def __enter__(self) -> Listeners:
        self.stdout = contextlib.redirect_stdout(sys.stderr)  # libraries print in their threads; results come after
        self.stdout.__enter__()
        for listener in self.listeners:
            listener.start()
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            self._end()
        finally:
            self.stdout.__exit__(*error)

    def _end(self) -> None:
        for index in list(self.folders):
            self(index, {"event": "finished", "problem": "stopped"})
        for listener in self.listeners:
            listener.calls.put(None)
        end = time.monotonic() + LIMIT
        for listener in self.listeners:
            while listener.is_alive() and not listener.left and time.monotonic() < end:
                listener.join(0.05)
            if listener.is_alive() and not listener.left:
                listener.leave(f"{listener.calls.qsize() + 1} calls have no answer after {LIMIT:g} s")
            if listener.is_alive():
                LEFT.append(listener)

    def __call__(self, index: int, event: Mapping[str, Any]) -> None:
        """Passes on an event of a run; `index` is its place in the study."""
        if not self.listeners:
            return
        if event["event"] == "started":
            self.folders[index] = Path(event["folder"])
            self._give(index, "crt_run_started", spec=event["spec"])
        elif index not in self.folders:  # finished before, or a note before it starts
            return
        elif event["event"] == "reading":
            self._readings(index, event)
        elif event["event"] == "checkpoint":
            more = {"stage": event["stage"], "step": event["step"], "checkpoint": Path(event["folder"])}
            self._give(index, "crt_checkpoint_saved", **more)
        elif event["event"] == "finished":
            self._give(index, "crt_run_ended", problem=event.get("problem"))
            del self.folders[index]

    def _readings(self, index: int, event: Mapping[str, Any]) -> None:
        stage, step = event["stage"], event["step"]
        for name, value in event.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if name in NO_READINGS or not number or step <= self.reached.get((index, stage, name), -1):
                continue
            self.reached[index, stage, name] = step
            self._give(index, "crt_reading", stage=stage, step=step, name=name, value=float(value))

    def _give(self, index: int, hook: str, **given: Any) -> None:
        for listener in self.listeners:
            listener.give(hook, {"folder": self.folders[index], **given})


def _hooks(entry: EntryPoint) -> Any:
    """The hooks of a plugin with one of events; None: it has none, or cannot be loaded, and `discover` names it."""
    try:
        manager = call(entry.name, _manager, entry)
    except Failed:
        return None
    return manager.hook if any(getattr(manager.hook, name).get_hookimpls() for name in HOOKS) else None


def _manager(entry: EntryPoint) -> pluggy.PluginManager:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    manager.register(entry.load(), entry.name)
    return manager
