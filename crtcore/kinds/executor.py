"""Executor: runs many independent, idempotent pieces of work somewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, TypeAlias, runtime_checkable

import attrs

from crtcore.spec import Spec

Json: TypeAlias = Mapping[str, Any]
"""What a JSON object can hold: the only thing that crosses to another process or machine."""
Report: TypeAlias = Callable[[Json], None]
"""Called by work in progress with an event to show."""
Work: TypeAlias = Callable[[Json, Report], Json]
"""A module-level function: a piece of work and where to report, to its answer. Safe to call again after a crash."""


class Done(NamedTuple):
    """One piece of work that ended."""

    place: int
    """Its index among the pieces."""
    answer: Json | None
    """What the work returned; None if it failed."""
    problem: str | None
    """Why it failed."""


@runtime_checkable
class Executor(Protocol):
    """Somewhere to run things."""

    def run(self, work: Work, pieces: Sequence[Json], report: Callable[[int, Json], None]) -> Iterator[Done]:
        """Does all pieces, in any order, and yields each as it ends; closing the iterator stops the work.

        Work that is stopped gets SIGTERM and time to save.
        """


@attrs.frozen(kw_only=True)
class ExecutorSpec(Spec):
    """Base of every executor's spec. Where work runs changes no result, so no hash holds it."""

    kind: ClassVar[str] = "executor"

    def build(self) -> Executor:
        """The executor."""
        built: Executor = super().build()
        return built
