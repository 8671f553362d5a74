"""What a command guards against when it calls plugins' code: whatever it prints, waits for or changes, it goes on.

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
from contextlib import AbstractContextManager
from typing import Any, TextIO

from attrs import validators

from crtcore import loading
from crtcore.errors import in_one_line
from crtcore.loading import Errors, Failed

LIMIT = 20.0
"""Seconds that a plugin may take to load and to answer; only in the main thread can a limit be set."""
LEFT: list[threading.Thread] = []
"""Threads that plugins left behind: Python would wait for them at its end, or abort where they print."""


class _Late(BaseException):
    """The time is over."""


def installed() -> AbstractContextManager[None]:
    """As long as it is open, `crtcore.loading` calls plugins' code `guarded`."""
    return loading.installed(guarded)


@contextlib.contextmanager
def guarded() -> Iterator[_Guard]:
    """Puts back at its end all that calls inside it change; each of them alone puts back what others would stumble on.

    Inside another one of the same thread it does nothing.
    """
    guard: _Guard | None = getattr(_open, "guard", None)
    if guard is not None:
        yield guard
        return
    guard, threads = _Guard(), threading.enumerate()
    with guard.unchanged():
        _open.guard = guard
        try:
            yield guard
        finally:
            _open.guard = None
    LEFT.extend(each for each in threading.enumerate() if each not in threads)


_open = threading.local()
"""The guard that is open in a thread, as `guard`."""
_SIGNALS = tuple(signal.valid_signals())


class _Guard:
    """Calls of plugins' code, one inside another, and what they must not keep."""

    def __init__(self) -> None:
        self.errors = sys.stderr
        self.main = threading.current_thread() is threading.main_thread()
        self.calls: list[list[tuple[str, float]]] = []
        """For each call its plugin and its limit, once and once more for each time that the limit was over."""
        self.raised: list[BaseException] = []
        """What handlers of SIGINT and SIGTERM have raised."""
        self.before = {number: signal.getsignal(number) for number in _SIGNALS} if self.main else {}
        ends = [number for number in (signal.SIGINT, signal.SIGTERM) if callable(self.before.get(number))]
        self.own: dict[int, Callable[..., None]] = dict.fromkeys(ends, self._note)
        """What SIGINT, SIGTERM and SIGALRM do while it is open."""
        if self.main:
            self.own[signal.SIGALRM] = self._late

    def call(self, plugin: str, code: Callable[[], Any], *, limited: bool, expected: Errors) -> Any:
        """What `code` of a `plugin` returns, within `LIMIT` seconds if its time is limited.

        Raises: what is `expected`; Failed for all else, which is its cause; what handlers of SIGINT and SIGTERM raise,
        even if it catches that.
        Cost: 0.1 ms, or 0.01 ms inside `guarded`.
        """
        process, trace, limit, failure = os.getpid(), sys.gettrace(), LIMIT if limited else 0, None
        cause: BaseException | None = None
        with self._around(plugin, limit):
            try:
                answer = code()
            except expected:
                raise
            except BaseException as error:
                failure = f"no answer within {limit:g} s" if isinstance(error, _Late) else in_one_line(error)
                cause = error
            finally:
                sys.settrace(trace)  # before a function of ours is called, which it would trace
                self.calls[-1].clear()
                if os.getpid() != process:  # a fork that it left behind
                    os._exit(0)
        if self.raised:
            raise self.raised[0]
        if failure is not None:
            raise Failed(failure) from cause
        return answer

    @contextlib.contextmanager
    def _around(self, plugin: str, limit: float) -> Iterator[None]:
        """Limits the time of a call, and puts back what would change the next one.

        Raises: _Late at the limit, as long as the last of `calls` is not empty.
        """
        if not sys.stderr or sys.stderr.closed:
            sys.stdout = sys.stderr = _stream(self.errors)
        before = sys.getrecursionlimit(), validators.get_disabled(), sys.stdout, sys.stderr
        self.calls.append([(plugin, limit)])
        earlier = (0.0, 0.0)
        if self.main:
            earlier = signal.setitimer(signal.ITIMER_REAL, limit, 1)
        try:
            yield
        finally:
            if self.main:
                signal.setitimer(signal.ITIMER_REAL, 0)
                self._handle()
            self.calls.pop()
            sys.setrecursionlimit(before[0])
            validators.set_disabled(before[1])
            sys.stdout, sys.stderr = before[2:]
            if self.main:
                signal.setitimer(signal.ITIMER_REAL, *earlier)

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        """Sends what is printed to stderr, and puts back handlers, timer and what else holds for the whole process."""
        streams, places = (sys.stdout, sys.stderr), (locale.setlocale(locale.LC_ALL), _folder())
        earlier = signal.setitimer(signal.ITIMER_REAL, 0) if self.main else (0.0, 0.0)
        self._handle()
        sys.stdout = sys.stderr = _stream(self.errors)
        try:
            with warnings.catch_warnings():
                yield
        finally:
            with warnings.catch_warnings(
                action="ignore", category=ResourceWarning
            ):  # its stream closes with its last use
                sys.stdout, sys.stderr = streams
            if locale.setlocale(locale.LC_ALL) != places[0]:
                locale.setlocale(locale.LC_ALL, places[0])
            if places[1] is not None and _folder() != places[1]:
                with contextlib.suppress(OSError):  # a folder that it has removed
                    os.chdir(places[1])
            for number, handler in self.before.items():
                if handler is not None and signal.getsignal(number) is not handler:
                    signal.signal(number, handler)
            if self.main:
                signal.setitimer(signal.ITIMER_REAL, *earlier)

    def _handle(self) -> None:
        for number, handler in self.own.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)

    def _note(self, number: int, frame: Any = None) -> None:
        try:
            self.before[signal.Signals(number)](number, frame)  # type: ignore[misc, operator]
        except BaseException as error:
            self.raised.append(error)
            raise

    def _late(self, *_: Any) -> None:
        if self.calls and self.calls[-1]:
            (plugin, limit), *rings = self.calls[-1]
            self.calls[-1].append((plugin, limit))
            if len(rings) > 4:  # it catches what is raised
                try:
                    os.write(2, f"plugin {plugin!r} gives no answer in {limit:g} s and cannot be stopped\n".encode())
                finally:
                    os._exit(1)
            raise _Late


def _stream(errors: TextIO) -> TextIO:
    """Where plugins print: stderr, by a descriptor of its own, as they may close it; or what stands for it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return os.fdopen(os.dup(errors.fileno()), "w", 1, errors="backslashreplace")
    return errors


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109  # called often
    except OSError:  # a folder that is gone
        return None
