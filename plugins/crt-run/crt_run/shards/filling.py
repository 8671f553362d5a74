"""What is missing in a folder of shards, made by an executor."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any

from crt_run.executors.running import built, done
from crt_run.shards.store import Span, Store
from crtcore.errors import RunError, Stopped
from crtcore.kinds import ExecutorSpec, Json, Report, Work

ROUNDS = 2
"""How often a shard is tried whose worker dies."""


def fill(
    store: Store, expected: Sequence[Span], work: Work, piece: Callable[[Span], Json], executor: ExecutorSpec,
    report: Report,
) -> None:  # fmt: skip
    """Has an executor make all shards that are not there; damaged ones are made again.

    A worker that dies loses its own shard, which is tried again. A problem that work names ends it. Events are notes,
    and `samples`, with how many are there.
    Raises: RunError if shards are missing then; those that are finished are kept.
    """
    whole, damaged = store.whole()
    if damaged:
        shown = f"{', '.join(damaged[:3])}{f' and {len(damaged) - 3} more' if len(damaged) > 3 else ''}"
        report({"event": "note", "text": f"{store.folder}: damaged or missing, made again: {shown}"})
    samples, problem = sum(span.size for span in expected), ""
    there = sum(span.size for span in expected if span.first in whole)
    report({"event": "samples", "there": there, "samples": samples})
    for _ in range(ROUNDS):
        left = [span for span in expected if span.first not in whole]
        if not left:
            return
        working = done(built(executor.build), work, [piece(span) for span in left], lambda place, event: None)
        with closing(working):
            for ended in working:
                answer: Mapping[str, Any] = ended.answer or {}
                if "problem" in answer:
                    raise RunError(answer["problem"])
                if "stopped" in answer:
                    raise RunError(f"{store.folder}: a worker was stopped{_again(there, samples)}")
                if answer.get("first") == left[ended.place].first:
                    whole.add(left[ended.place].first)
                    there += left[ended.place].size
                    report({"event": "samples", "there": there, "samples": samples})
                else:
                    problem = ended.problem or f"expected the answer of work, got {ended.answer!r:.80}"
    if there < samples:
        raise RunError(f"{store.folder}: {problem}{_again(there, samples)}")


def _again(there: int, samples: int) -> str:
    return f"; {there} of {samples} samples are there, and the same command goes on from there"


def piece_of_work(make: Callable[[Callable[[], bool]], int]) -> Json:
    """The answer to a piece of work: the first number, which `make` returns, called with whether SIGTERM has come."""
    stop = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        return {"first": make(stop.is_set)}
    except Stopped:
        return {"stopped": True}
    except RunError as error:
        return {"problem": str(error)}
    finally:
        signal.signal(signal.SIGTERM, before)
