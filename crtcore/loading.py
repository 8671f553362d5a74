"""Calls of plugins' code: whatever it raises, prints, waits for or changes, the caller goes on.

Out of reach are `os._exit`, crashes, C code that heeds no signal, and changes to other modules or the environment.
"""

from __future__ import annotations

import contextlib
import locale
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from attrs import validators

from crtcore.errors import in_one_line

LIMIT = 20.0
"""Seconds that a plugin may take to load and to answer; only in the main thread can a limit be set."""
LEFT: list[threading.Thread] = []
"""Threads that plugins left behind: Python would wait for them at its end, or abort where they print."""


class Failed(Exception):
    """What a plugin did instead of returning, in one line."""


class _Late(BaseException):
    """The time is over."""


def call(
    plugin: str, function: Callable[..., Any], *args: Any, limited: bool = True,
    expected: tuple[type[Exception], ...] = (),
) -> Any:  # fmt: skip
    """What `function`, code of a `plugin`, returns, within `LIMIT` seconds if its time is limited.

    Raises: what is `expected`; Failed for all else; what handlers of SIGINT and SIGTERM raise, even if it catches that.
    """
    process, threads, raised = os.getpid(), threading.enumerate(), list[BaseException]()
    limit, failure = LIMIT if limited else 0, None
    with _unchanged(), _signals(plugin, limit, raised) as running:
        try:
            answer = function(*args)
        except expected:
            raise
        except BaseException as error:
            failure = f"no answer within {limit:g} s" if isinstance(error, _Late) else in_one_line(error)
        finally:
            running.clear()
            if os.getpid() != process:  # a fork that it left behind
                os._exit(0)
    LEFT.extend(each for each in threading.enumerate() if each not in threads)
    if raised:
        raise raised[0]
    if failure is not None:
        raise Failed(failure)
    return answer


@contextlib.contextmanager
def _unchanged() -> Iterator[None]:
    """Sends what is printed to stderr, and puts back what holds for the whole process."""
    state: list[tuple[Any, Callable[[Any], Any]]] = [
        (sys.getrecursionlimit(), sys.setrecursionlimit),
        (sys.gettrace(), sys.settrace),
        (locale.setlocale(locale.LC_ALL), partial(locale.setlocale, locale.LC_ALL)),
        (validators.get_disabled(), validators.set_disabled),
        (sys.stdout, partial(setattr, sys, "stdout")),
        (sys.stderr, partial(setattr, sys, "stderr")),
    ]
    with contextlib.suppress(OSError):  # a folder that is gone
        state.append((Path.cwd(), os.chdir))
    with contextlib.suppress(OSError, ValueError, AttributeError):  # a stream of its own, as it may close it
        sys.stderr = os.fdopen(os.dup(sys.stderr.fileno()), "w", 1, errors="backslashreplace")
    sys.stdout = sys.stderr
    try:
        with warnings.catch_warnings():
            yield
    finally:
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):  # the stream closes with its last use
            for value, put in state:
                with contextlib.suppress(OSError):  # a folder that it has removed
                    put(value)


@contextlib.contextmanager
def _signals(plugin: str, limit: float, raised: list[BaseException]) -> Iterator[list[bool]]:
    """Puts handlers and timer back, and keeps in `raised` what SIGINT and SIGTERM raise.

    Raises: _Late at the limit, as long as the list that it yields is not empty.
    """
    running = [True]
    if threading.current_thread() is not threading.main_thread():
        yield running
        return
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}

    def note(number: int, frame: Any) -> None:
        try:
            before[signal.Signals(number)](number, frame)  # type: ignore[misc, operator]
        except BaseException as error:
            raised.append(error)
            raise

    def late(*_: Any) -> None:
        if running:
            running.append(True)
            if len(running) > 6:  # it catches what is raised
                try:
                    os.write(2, f"plugin {plugin!r} gives no answer in {limit:g} s and cannot be stopped\n".encode())
                finally:
                    os._exit(1)
            raise _Late

    for number in (signal.SIGINT, signal.SIGTERM):
        if callable(before[number]):
            signal.signal(number, note)
    earlier = signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, limit, 1)
    try:
        yield running
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        signal.setitimer(signal.ITIMER_REAL, *earlier)
