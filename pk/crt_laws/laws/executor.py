"""The laws of executors: each piece once, what crosses stays as it is, failures are named, a stop is respected."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from crt_laws.checks import check, equal
from crt_laws.kit import Bench, Checks, Offender, law, laws_in
from crt_laws.laws import executor_offenders as plants
from crt_laws.laws.executor_offenders import planted
from crt_laws.laws.executor_work import CLOSING, lasting, mark, marks, plain
from crtcore.kinds import Done, Executor, ExecutorSpec, Json

PIECES = 5
"""Pieces of a case: more than the processors of a small machine."""
CARGO = {"text": "é\n", "none": None, "numbers": [0.1, -3, 2**53], "nested": {"true": True, "empty": []}}
"""What a JSON object can hold."""


def subject(spec: ExecutorSpec) -> Executor:
    """The executor."""
    with TemporaryDirectory() as folder:
        return spec.example_in(Path(folder)).build()


@contextmanager
def pieces(count: int = PIECES, failing: tuple[int, ...] = ()) -> Iterator[tuple[Path, list[Json]]]:
    """A folder for marks, and numbered pieces of work that leave them there."""
    with TemporaryDirectory() as folder:
        more = {"folder": folder, "cargo": CARGO}
        yield Path(folder), [{"number": number, "fails": number in failing, **more} for number in range(count)]


def ignored(_: int, event: Json) -> None:
    """Takes an event, and does nothing."""


@law("executor")
def each_piece_is_done_once(executor: Executor) -> Checks:
    """Every piece is done once and yielded once by its index, in any order."""
    with pieces() as (folder, work):
        places = [done.place for done in executor.run(plain, work, ignored)]
        counts = [marks(folder, str(number)) for number in range(PIECES)]

    yield equal(sorted(places), list(range(PIECES)), "the list of places, sorted")
    yield equal(counts, [1] * PIECES, "how often each piece was done")


@law("executor")
def no_pieces_are_no_work(executor: Executor) -> Checks:
    """Without a piece nothing is done and nothing is yielded."""
    yield equal(list(executor.run(plain, [], ignored)), [], "what no pieces yield")


@law("executor")
def what_crosses_is_unchanged(executor: Executor) -> Checks:
    """Work gets its piece as it was given, and its answer arrives as it was returned."""
    with pieces() as (_, work):
        answers = {done.place: done.answer for done in executor.run(plain, work, ignored)}

    for place, answer in answers.items():
        yield equal(answer, work[place], f"the answer of piece {place}, which returns what it gets,")


@law("executor")
def a_failure_is_named_and_stops_no_other(executor: Executor) -> Checks:
    """A piece that raises has no answer, and a problem with the type and the text of the error; the others are done."""
    failing = (1, 3)
    with pieces(failing=failing) as (_, work):
        ended = {done.place: done for done in executor.run(plain, work, ignored)}

    yield equal(sorted(ended), list(range(PIECES)), "the list of places, sorted")
    for place, done in sorted(ended.items()):
        if place in failing:
            yield equal(done.answer, None, f"the answer of piece {place}, which raises,")
            named = all(part in (done.problem or "") for part in ("ValueError", f"piece {place} is at fault"))
            yield check(named, f"{done.problem!r} as the problem of ValueError('piece {place} is at fault')")
        else:
            yield check(done.answer is not None and done.problem is None, f"{done} of a piece that raises nothing")


@law("executor")
def events_come_with_their_piece(executor: Executor) -> Checks:
    """Events of work are reported with the index of its piece, in their order, before the piece is yielded."""
    events: list[tuple[int, Json]] = []
    with pieces() as (_, work):
        for done in executor.run(plain, work, lambda place, event: events.append((place, event))):
            own = [dict(event) for place, event in events if place == done.place]
            expected = [{"event": event, "number": done.place} for event in ("began", "ended")]

            yield equal(own, expected, f"the list of events of piece {done.place}")
    yield equal(len(events), 2 * PIECES, "the number of events")


@law("executor")
def closing_the_iterator_stops_the_work(executor: Executor) -> Checks:
    """Once the iterator is closed, work in progress has got SIGTERM and time to save, and no piece begins."""
    with pieces() as (folder, work):
        running: Any = executor.run(lasting, work, ignored)
        first: Done = next(running)
        mark(folder, CLOSING)
        running.close()
        left = [number for number in range(PIECES) if number != first.place]
        began = [marks(folder, f"began-{number}") for number in left]
        saved = [marks(folder, f"saved-{number}") for number in left]
        time.sleep(0.2)
        later = [marks(folder, f"began-{number}") for number in left]

    yield equal(first.problem, None, "the problem of the first piece that ended")
    for number, one, other in zip(left, began, saved, strict=True):
        yield check(one == other, f"piece {number} began {one} times, and {other} times it was stopped and could save")
    yield equal(later, began, "how often each piece had begun a moment after the iterator was closed")


LAWS = laws_in(globals())

OFFENDERS = (
    Offender(each_piece_is_done_once, planted(plants.Twice)),
    Offender(no_pieces_are_no_work, planted(plants.NeverEmpty)),
    Offender(what_crosses_is_unchanged, planted(plants.InText)),
    Offender(a_failure_is_named_and_stops_no_other, planted(plants.Vague)),
    Offender(events_come_with_their_piece, planted(plants.Late)),
    Offender(closing_the_iterator_stops_the_work, planted(plants.GoesOn)),
)

BENCH = Bench("executor", subject, LAWS, OFFENDERS)
