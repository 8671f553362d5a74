"""Processes on this machine, as an executor."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from crtcore.builtin.specs import Local
from crtcore.kinds import Done, Json, Work

POLL = 0.1
"""Seconds between looks at the workers."""

_events: Any = None  # a worker's line to its parent, set once when the worker starts


class LocalProcesses:
    """A pool of processes, each of which outlives neither its work nor its parent."""

    def __init__(self, spec: Local) -> None:
        self.spec = spec

    def run(self, work: Work, pieces: Sequence[Json], report: Callable[[int, Json], None]) -> Iterator[Done]:
        """Does all pieces; closing the iterator sends SIGTERM to the workers and waits until they have saved."""
        context = multiprocessing.get_context("spawn")
        events = context.Queue()
        workers = min(self.spec.workers or len(os.sched_getaffinity(0)), len(pieces))
        with ProcessPoolExecutor(workers, context, _start, (self.spec.threads, events)) as pool:
            futures = {pool.submit(_do, work, index, piece): index for index, piece in enumerate(pieces)}
            pids: set[int] = set()
            try:
                pending = set(futures)
                while pending:
                    done, pending = wait(pending, POLL, FIRST_COMPLETED)
                    _drain(events, pids, report)
                    yield from (_ended(futures[future], future) for future in done)
            finally:
                for future in futures:
                    future.cancel()
                _drain(events, pids, report)
                if any(not future.done() for future in futures):
                    for pid in pids:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGTERM)


def _ended(index: int, future: Future[Json]) -> Done:
    try:
        return Done(index, future.result(), None)
    except BrokenProcessPool:
        return Done(index, None, "a worker process died (killed, or out of memory); give the same command again")
    except Exception as error:
        return Done(index, None, f"{type(error).__name__}: {error}")


def _drain(events: Any, pids: set[int], report: Callable[[int, Json], None]) -> None:
    with contextlib.suppress(queue.Empty):
        while True:
            index, event = events.get_nowait()
            if index is None:
                pids.add(event["pid"])
            else:
                report(index, event)


def _start(threads: int, events: Any) -> None:
    """In a new worker: take the number of threads, leave Ctrl-C to the parent, and never outlive it."""
    global _events  # noqa: PLW0603 - how a pool hands its workers something
    _events = events
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    events.put((None, {"pid": os.getpid()}))
    import torch

    torch.set_num_threads(threads)


def _follow(parent: Any) -> None:
    """Ends this process when its parent has ended, however that came."""
    parent.join()
    os._exit(1)


def _do(work: Work, index: int, piece: Json) -> Json:
    return work(piece, lambda event: _events.put((index, event)))
