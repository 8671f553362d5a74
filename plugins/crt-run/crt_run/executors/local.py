"""Processes on this machine, as an executor."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, NamedTuple

from crt_run.executors.spec import Local
from crtcore.kinds import Done, Json, Work

DIED = "a worker process died (killed, or out of memory); give the same command again"


class Worker(NamedTuple):
    """A process, and a line each way."""

    process: SpawnProcess
    orders: Connection
    """Pieces go there; closed, the process ends after the one it has."""
    news: Connection
    """Events and answers come from there; it ends with the process."""


class LocalProcesses:
    """Processes, each of which outlives neither its work nor its parent; one that dies takes only its piece along."""

    def __init__(self, spec: Local) -> None:
        self.spec = spec

    def run(self, work: Work, pieces: Sequence[Json], report: Callable[[int, Json], None]) -> Iterator[Done]:
        """Does all pieces; closing the iterator sends SIGTERM to the workers and waits until they have saved.

        An interrupt while it waits ends them at once.
        """
        limit = self.spec.workers or processors()
        left = list(range(len(pieces)))[::-1]
        idle: list[Worker] = []
        busy: dict[Connection, tuple[Worker, int]] = {}
        try:
            while left or busy:
                while left and len(busy) < limit:
                    with _uninterrupted():
                        worker = idle.pop() if idle else _hire(self.spec.threads)
                        busy[worker.news] = worker, left[-1]
                    with suppress(OSError):  # it died; its news says so below
                        worker.orders.send((work, pieces[left.pop()]))
                for news in wait(list(busy)):
                    assert isinstance(news, Connection)
                    worker, place = busy[news]
                    event, answer, problem = _heard(news)
                    if event is not None:
                        report(place, event)
                        continue
                    del busy[news]
                    if problem == DIED:
                        worker.process.join()
                    else:
                        idle.append(worker)
                    yield Done(place, answer, problem)
        finally:
            _dismiss(idle, [worker for worker, _ in busy.values()])


def processors() -> int:
    """Processors that this process may use; all of them where the system does not report it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _hire(threads: int) -> Worker:
    context = multiprocessing.get_context("spawn")
    taken, orders = context.Pipe(duplex=False)
    news, told = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(taken, told, threads))
    process.start()
    taken.close()
    told.close()
    return Worker(process, orders, news)


def _heard(news: Connection) -> tuple[Json | None, Json | None, str | None]:
    """An event, or the answer or problem that ends a piece."""
    try:
        heard: tuple[Json | None, Json | None, str | None] = news.recv()
    except (EOFError, OSError):
        return None, None, DIED
    return heard


def _dismiss(idle: Sequence[Worker], busy: Sequence[Worker]) -> None:
    everyone = [*idle, *busy]
    try:
        for worker in busy:
            worker.process.terminate()
        for worker in everyone:
            worker.orders.close()
        for worker in everyone:
            while os.read(worker.news.fileno(), 1 << 16):  # as bytes: an interrupt may have cut a message in two
                pass
            worker.process.join()
    finally:
        for worker in everyone:
            worker.process.kill()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Holds Ctrl-C and SIGTERM back for a moment; a process started in it never sees a Ctrl-C: that is the parent's."""
    resource_tracker.ensure_running()  # at the first process, it would let both signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(orders: Connection, news: Connection, threads: int) -> None:
    """In a worker: does pieces until the parent has no more, or has ended."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=_follow, daemon=True).start()
    import torch

    torch.set_num_threads(threads)
    with suppress(EOFError):
        while True:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the piece before may have left a handler of its own
            work, piece = orders.recv()
            try:
                answer, problem = work(piece, lambda event: news.send((event, None, None))), None
            except Exception as error:
                answer, problem = None, f"{type(error).__name__}: {error}"
            news.send((None, answer, problem))


def _follow() -> None:
    """Ends this process when its parent has ended, however that came."""
    parent: Any = multiprocessing.parent_process()
    parent.join()
    os._exit(1)
