"""Processes on this machine, as an executor."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, NamedTuple

from crtcore.builtin.specs import Local
from crtcore.kinds import Done, Json, Work

DIED = "a worker process died (killed, or out of memory); give the same command again"


class Worker(NamedTuple):
    """A process, and the line to it: pieces go there, events and answers come back; it ends with the process."""

    process: SpawnProcess
    line: Connection


class LocalProcesses:
    """Processes, each of which outlives neither its work nor its parent; one that dies takes only its piece along."""

    def __init__(self, spec: Local) -> None:
        self.spec = spec

    def run(self, work: Work, pieces: Sequence[Json], report: Callable[[int, Json], None]) -> Iterator[Done]:
        """Does all pieces; closing the iterator sends SIGTERM to the workers and waits until they have saved.

        An interrupt while it waits ends them at once.
        """
        limit = self.spec.workers or len(os.sched_getaffinity(0))
        left = list(range(len(pieces)))[::-1]
        idle: list[Worker] = []
        busy: dict[Connection, tuple[Worker, int]] = {}
        try:
            while left or busy:
                while left and len(busy) < limit:
                    with _uninterrupted():
                        worker = idle.pop() if idle else _hire(self.spec.threads)
                        busy[worker.line] = worker, left[-1]
                    with suppress(OSError):  # it died; its line says so below
                        worker.line.send((work, pieces[left.pop()]))
                for line in wait(list(busy)):
                    assert isinstance(line, Connection)
                    worker, place = busy[line]
                    event, answer, problem = _heard(line)
                    if event is not None:
                        report(place, event)
                        continue
                    del busy[line]
                    if problem == DIED:
                        worker.process.join()
                    else:
                        idle.append(worker)
                    yield Done(place, answer, problem)
        finally:
            _dismiss(idle, [worker for worker, _ in busy.values()])


def _hire(threads: int) -> Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, threads))
    process.start()
    theirs.close()
    return Worker(process, ours)


def _heard(line: Connection) -> tuple[Json | None, Json | None, str | None]:
    """An event, or the answer or problem that ends a piece."""
    try:
        heard: tuple[Json | None, Json | None, str | None] = line.recv()
    except (EOFError, OSError):
        return None, None, DIED
    return heard


def _dismiss(idle: Sequence[Worker], busy: Sequence[Worker]) -> None:
    try:
        for worker in busy:
            worker.process.terminate()
        for worker in idle:
            worker.line.close()
        for worker in busy:
            while _heard(worker.line)[0] is not None:
                pass
            worker.line.close()
        for worker in (*idle, *busy):
            worker.process.join()
    finally:
        for worker in (*idle, *busy):
            worker.process.kill()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Holds Ctrl-C and SIGTERM back for a moment; a process started in it never sees a Ctrl-C: that is the parent's."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(line: Connection, threads: int) -> None:
    """In a worker: does pieces until the parent has no more, or has ended."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=_follow, daemon=True).start()
    import torch

    torch.set_num_threads(threads)
    with suppress(EOFError):
        while True:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the piece before may have left a handler of its own
            work, piece = line.recv()
            try:
                answer, problem = work(piece, lambda event: line.send((event, None, None))), None
            except Exception as error:
                answer, problem = None, f"{type(error).__name__}: {error}"
            line.send((None, answer, problem))


def _follow() -> None:
    """Ends this process when its parent has ended, however that came."""
    parent: Any = multiprocessing.parent_process()
    parent.join()
    os._exit(1)
