"""What the command line prints, and where: results on stdout, everything else on stderr."""

from __future__ import annotations

import functools
import json
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec

import click
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from crtcore.compose.document import SpecError
from crtcore.compose.study import Study
from crtcore.errors import RunError
from crtcore.registry import NameClash, NotInstalled

P = ParamSpec("P")

INTERRUPTED = 130
PREEMPTED = 75
"""Exit status after SIGTERM: saved, give the same command again (EX_TEMPFAIL)."""
PLAIN_EVERY = 10.0
"""Seconds between plain progress lines of one run."""


class Terminated(BaseException):
    """SIGTERM came."""


def say(line: str) -> None:
    """One line for the user, on stderr."""
    click.echo(line, err=True)


def show(table: RenderableType) -> None:
    """A table on stdout, as wide as the terminal; where there is none, as wide as it needs."""
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    console.print(table)


def answer(values: Any) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False))


def told(command: Callable[P, int | None]) -> Callable[P, None]:
    """Ends a command with its exit status, and any expected error with its message: no traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        def fail(status: int, message: str, **more: Any) -> None:
            if kwargs.get("as_json"):
                answer({"error": message, **more})
            say(message)
            sys.exit(status)

        signal.signal(signal.SIGTERM, _terminate)
        try:
            sys.exit(command(*args, **kwargs) or 0)
        except SpecError as error:
            problems = [{"where": p.where, "path": list(p.path), "message": p.message} for p in error.problems]
            fail(2, str(error), problems=problems)
        except (NotInstalled, NameClash) as error:
            fail(2, str(error.args[0]))
        except KeyboardInterrupt:
            fail(INTERRUPTED, "stopped; what is finished is kept, and the same command goes on from there")
        except Terminated:
            fail(PREEMPTED, "terminated; what is finished is kept, and the same command goes on from there")
        except RunError as error:
            fail(1, str(error))
        except OSError as error:
            fail(1, f"cannot use {error.filename}: {error.strerror}")

    return wrapped


def _terminate(*_: Any) -> None:
    raise Terminated


class Watch:
    """Shows how far a study is: bars on a terminal, plain lines elsewhere."""

    def __init__(self, study: Study, *, quiet: bool) -> None:
        self.study = study
        self.steps = {
            index: point.plan.experiment.training_steps(point.plan) for index, point in enumerate(study.points)
        }
        self.console = Console(stderr=True)
        self.plain = quiet or not self.console.is_terminal
        self.done = 0
        self.tasks: dict[int, TaskID] = {}
        self.last: dict[int, float] = {}
        self.reached: dict[tuple[int, str], int] = {}
        self.advanced: dict[int, int] = {}
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=self.console, disable=self.plain,
        )  # fmt: skip
        self.total = self.bar.add_task("all steps", total=sum(self.steps.values()))

    def __enter__(self) -> Watch:
        say(
            f"{self.study.name}: {len(self.study.points)} run(s), {sum(self.steps.values())} training steps at most; "
            f"what is finished is not done again"
        )
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def __call__(self, index: int, event: Mapping[str, Any]) -> None:
        """Takes an event of a run."""
        if event["event"] == "reading":
            self._reading(index, event)
        elif event["event"] == "finished":
            self._finished(index, event)

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
        elif time.monotonic() - self.last.get(index, 0) > PLAIN_EVERY:
            self.last[index] = time.monotonic()
            say(f"{self._name(index)}: {event['stage']} {event['step']}/{event['steps']}")

    def _finished(self, index: int, event: Mapping[str, Any]) -> None:
        self.done += 1
        self.bar.advance(self.total, self.steps[index] - self.advanced.get(index, 0))
        if index in self.tasks:
            self.bar.remove_task(self.tasks.pop(index))
        if self.plain:
            how = "finished before" if event.get("again") else "finished"
            if problem := event.get("problem"):
                how = problem if self.study.swept else "failed"
            say(f"{self._name(index)}: {how} ({self.done}/{len(self.study.points)})")
