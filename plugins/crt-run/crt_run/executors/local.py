"""The executor `local`: processes on this machine; POSIX only, as it masks signals."""

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

from crt_cli import guard
from crt_run.executors.spec import Local
from crtcore.errors import in_one_line
from crtcore.kinds import Done, Json, Work

DIED = "a worker process died (killed, or out of memory); give the same command again"


class Worker(NamedTuple):
    """A process, and a connection each way."""

    process: SpawnProcess
    orders: Connection
    """Sends pieces of work; once closed, the process ends after its current piece."""
    news: Connection
    """Receives events and answers; closed when the process ends."""


class LocalProcesses:
    """Worker processes that end with their work or their parent; one that dies loses only its own piece."""

    def __init__(self, spec: Local) -> None:
        self.spec = spec

    def run(self, work: Work, pieces: Sequence[Json], report: Callable[[int, Json], None]) -> Iterator[Done]:
        """Runs all pieces; closing the iterator sends SIGTERM to the workers and waits until they have saved.

        An interrupt during that wait kills them.
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
                    with suppress(OSError):  # the worker died, which `_heard` reports below
                        worker.orders.send((work, pieces[left.pop()]))
                for news in wait(list(busy)):
                    assert isinstance(news, Connection)
                    worker, place = busy[news]
                    event, answer, problem = _received(news)
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
    news, sent = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(taken, sent, threads))
    process.start()
    taken.close()
    sent.close()
    return Worker(process, orders, news)


def _received(news: Connection) -> tuple[Json | None, Json | None, str | None]:
    """An event, or the answer or problem that ends a piece."""
    try:
        message: tuple[Json | None, Json | None, str | None] = news.recv()
    except (EOFError, OSError):
        return None, None, DIED
    return message


def _dismiss(idle: Sequence[Worker], busy: Sequence[Worker]) -> None:
    everyone = [*idle, *busy]
    try:
        for worker in busy:
            worker.process.terminate()
        for worker in everyone:
            worker.orders.close()
        for worker in everyone:
            while os.read(worker.news.fileno(), 1 << 16):  # as bytes: an interrupt may have split a message
                pass
            worker.process.join()
    finally:
        for worker in everyone:
            worker.process.kill()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Blocks Ctrl-C and SIGTERM; a process started inside never receives a Ctrl-C, which the parent handles."""
    resource_tracker.ensure_running()  # starting it later would unblock both signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(orders: Connection, news: Connection, threads: int) -> None:
    """Runs in a worker: does pieces until the parent closes the connection or ends.

    As in a command, plugins that hang or interrupt are left out, as each worker loads them again.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=_follow, daemon=True).start()
    import torch

    torch.set_num_threads(threads)
    with guard.installed(), suppress(EOFError, ConnectionError):  # the parent has ended
        while True:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the piece before may have installed a handler
            work, piece = orders.recv()
            try:
                answer, problem = work(piece, lambda event: news.send((event, None, None))), None
            except BaseException as error:  # whatever a component raises, such as SystemExit
                answer, problem = None, in_one_line(error)
            news.send((None, answer, problem))


def _follow() -> None:
    """Ends this process when its parent has ended, however it ended."""
    parent: Any = multiprocessing.parent_process()
    parent.join()
    os._exit(1)
