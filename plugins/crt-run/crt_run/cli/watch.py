"""The progress of a study: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from crt_cli.console import say
from crt_run.cli.standing import standing
from crtcore.compose.study import Study

TABLE_EVERY = 1.0
"""Seconds at least between two drawings of the table, each of which reads all results."""


class Bars(Progress):
    """Progress bars, below a table if there is one."""

    table: Table | None = None
    drawn = -math.inf
    """When the table was drawn."""
    draw: Callable[[], Table] | None = None
    """Draws the table again; None: it has not changed."""

    def get_renderables(self) -> Iterable[RenderableType]:
        """The table, then the bars."""
        if self.draw is not None and time.monotonic() - self.drawn >= TABLE_EVERY:
            draw, self.draw = self.draw, None
            self.table = draw()
            self.drawn = time.monotonic()
        yield from filter(None, [self.table])
        yield from super().get_renderables()


PLAIN_EVERY = 10.0
"""Seconds between plain progress lines of one run."""


class Watch:
    """Shows the progress of a study."""

    def __init__(self, study: Study, *, quiet: bool) -> None:
        self.study = study
        self.steps = {
            index: sum(stage.steps for stage in point.plan.stages) for index, point in enumerate(study.points)
        }
        self.console = Console(stderr=True)
        self.plain = quiet or not self.console.is_terminal
        self.done = 0
        self.notes: set[str] = set()
        self.tasks: dict[int, TaskID] = {}
        self.last: dict[int, float] = {}
        self.reached: dict[tuple[int, str], int] = {}
        self.advanced: dict[int, int] = {}
        self.results: dict[int, Mapping[str, Any]] = {}
        self.bar = Bars(
            TextColumn("{task.description}", table_column=Column(overflow="fold")),
            BarColumn(),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
            console=self.console,
            disable=self.plain,
        )
        self.total = self.bar.add_task("all steps", total=sum(self.steps.values()))

    def __enter__(self) -> Watch:
        say(
            f"{self.study.name}: {len(self.study.points)} run(s), at most {sum(self.steps.values())} training steps; "
            f"finished stages are not trained again"
        )
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.drawn = -math.inf  # the last table has all results
        self.bar.stop()

    def __call__(self, index: int, event: Mapping[str, Any]) -> None:
        """Shows an event of a run."""
        if event["event"] == "reading":
            self._reading(index, event)
        elif event["event"] == "finished":
            self._finished(index, event)
        elif event["event"] == "note" and event["text"] not in self.notes:
            self.notes.add(event["text"])  # points share stages
            say(f"{self._name(index)}: {event['text']}")

    def _name(self, index: int) -> str:
        point = self.study.points[index]
        return point.label if self.study.swept else point.plan.name

    def _reading(self, index: int, event: Mapping[str, Any]) -> None:
        more = event["step"] - self.reached.get((index, event["stage"]), event.get("start", 0))
        self.reached[index, event["stage"]] = event["step"]
        self.advanced[index] = self.advanced.get(index, 0) + more
        if not self.plain:
            if index not in self.tasks:
                self.tasks[index] = self.bar.add_task(self._name(index), total=self.steps[index])
            self.bar.advance(self.tasks[index], more)
            self.bar.update(self.tasks[index], description=f"{self._name(index)}: {event['stage']}")
            self.bar.advance(self.total, more)
        elif not event.get("again") and time.monotonic() - self.last.get(index, 0) > PLAIN_EVERY:
            self.last[index] = time.monotonic()
            say(f"{self._name(index)}: {event['stage']} {event['step']}/{event['steps']}")

    def _finished(self, index: int, event: Mapping[str, Any]) -> None:
        self.done += 1
        if "result" in event:
            self.results[index] = event["result"]
            if self.study.swept and not self.plain:
                self.bar.draw = lambda: standing(self.study, dict(self.results))  # another thread draws
        self.bar.advance(self.total, self.steps[index] - self.advanced.get(index, 0))
        if index in self.tasks:
            self.bar.remove_task(self.tasks.pop(index))
        if self.plain:
            how = "finished before" if event.get("again") else "finished"
            if problem := event.get("problem"):
                how = problem if self.study.swept else "failed"
            say(f"{self._name(index)}: {how} ({self.done}/{len(self.study.points)})")
