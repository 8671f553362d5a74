"""Executors that break one law each: work in this process, with one change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from crt_laws.toys import InTurn, OneByOne
from crtcore.kinds import Done, Executor, Json, Work

Shown = Callable[[int, Json], None]
"""Where events are reported."""


class Twice(OneByOne):
    """Does the first piece twice."""

    def run(self, work: Work, pieces: Sequence[Json], report: Shown) -> Iterator[Done]:
        """Runs the first piece, then all of them."""
        list(super().run(work, pieces[:1], lambda place, event: None))
        yield from super().run(work, pieces, report)


class NeverEmpty(OneByOne):
    """Yields a place where there are no pieces."""

    def run(self, work: Work, pieces: Sequence[Json], report: Shown) -> Iterator[Done]:
        """Runs all pieces."""
        if not pieces:
            yield Done(0, None, "there is nothing to do")
        yield from super().run(work, pieces, report)


class InText(OneByOne):
    """Turns what is in an answer to text."""

    def run(self, work: Work, pieces: Sequence[Json], report: Shown) -> Iterator[Done]:
        """Runs all pieces."""
        for done in super().run(work, pieces, report):
            answer = None if done.answer is None else {name: str(value) for name, value in done.answer.items()}
            yield done._replace(answer=answer)


class Vague(OneByOne):
    """Names no failure."""

    def run(self, work: Work, pieces: Sequence[Json], report: Shown) -> Iterator[Done]:
        """Runs all pieces."""
        for done in super().run(work, pieces, report):
            yield done if done.problem is None else done._replace(problem="it failed")


class Late(OneByOne):
    """Reports the events of a piece after it is yielded."""

    def run(self, work: Work, pieces: Sequence[Json], report: Shown) -> Iterator[Done]:
        """Runs all pieces."""
        kept: list[Callable[[], None]] = []
        for done in super().run(work, pieces, lambda place, event: kept.append(partial(report, place, event))):
            yield done
            for reported in kept:
                reported()
            kept.clear()


class GoesOn(OneByOne):
    """Does what is left when it is closed."""

    def run(self, work: Work, pieces: Sequence[Json], report: Shown) -> Iterator[Done]:
        """Runs all pieces."""
        left = list(range(len(pieces)))
        try:
            for done in super().run(work, pieces, report):
                left.remove(done.place)
                yield done
        finally:
            for place in left:
                work(pieces[place], partial(report, place))


def planted(offender: Callable[[InTurn], Executor]) -> Callable[[object], Executor]:
    """Takes the place of a sound executor."""

    def plant(_: object) -> Executor:
        return offender(InTurn())

    return plant
