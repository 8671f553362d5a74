"""The points of a study over ranks: all ranks work on one point at a time, and the first of them keeps its files."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch

from crt_run.executors.spec import Local
from crt_run.ranks.group import Group, together
from crt_run.runs.execute import answer_of, take_part
from crt_run.runs.scratch import scratch
from crtcore.compose.study import Study
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Done, ExecutorSpec, Json, Report, Work, digest


class Signals:
    """Which of Ctrl-C and SIGTERM has come; neither ends this process."""

    number = 0

    def come(self) -> bool:
        """True if one has come."""
        return self.number != 0


@contextmanager
def noted() -> Iterator[Signals]:
    """Inside, Ctrl-C and SIGTERM are only noted: all ranks then stop after the same step."""
    signals = Signals()

    def note(number: int, _: object) -> None:
        signals.number = number

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class OverRanks:
    """The executor of the first rank: it works on each point with all the others."""

    def __init__(self, group: Group, executor: ExecutorSpec | None) -> None:
        if executor is not None and not isinstance(executor, Local):
            raise RunError(
                "executor: expected none, or `local`, as torchrun has started ranks that work on one point at a time; "
                "leave out the table [executor] and --on, or run the file without torchrun"
            )
        self.group = group
        self.threads = (executor or Local()).threads

    def run(self, work: Work, pieces: Sequence[Json], report: Callable[[int, Json], None]) -> Iterator[Done]:
        """Runs all pieces, which are points, one after another, in this process.

        Raises: RunError at the first that fails, as other ranks may still train it; what Ctrl-C and SIGTERM raise.
        """
        for place, piece in enumerate(pieces):
            with noted() as signals:
                self.group.order({name: piece[name] for name in ("document", "runs")} | {"threads": self.threads})
                answer = self._answer(piece, partial(report, place), signals.come)
            if signals.number:
                signal.raise_signal(signals.number)
            if "result" not in answer:
                raise RunError(answer.get("problem") or "another rank was stopped; the same command resumes it")
            yield Done(place, answer, None)

    def _answer(self, piece: Json, report: Report, stopping: Callable[[], bool]) -> Json:
        torch.set_num_threads(self.threads)
        with together(self.group):
            answer = answer_of(piece, report, stopping)
            if "result" in answer:
                self.group.meet()
        return answer


def same(group: Group, study: Study, *, fresh: bool) -> None:
    """Checks that every rank was started for the same points.

    Raises: RunError on each that was not.
    """
    points = {"points": [point.plan.hash for point in study.points], "fresh": fresh}
    group.same("the points", digest(points), "start every rank with the same spec file and options")


def follow(group: Group) -> int:
    """Works on what the first rank orders, in a folder that is then deleted; returns the exit status.

    Raises: RunError if it cannot, Lost if another rank ends.
    """
    with noted() as signals:
        for order in group.orders(signals.come):
            torch.set_num_threads(order["threads"])
            try:
                with scratch() as folder, together(group):
                    take_part(order, folder, signals.come)
                    group.meet()
            except Stopped:
                return 128 + (signals.number or signal.SIGTERM)
        if signals.number:
            return 128 + signals.number
    return 0
