"""Calls of plugins' code in a command: what it raises, waits for and changes stays its own, in one call and in many."""

from __future__ import annotations

import contextlib
import locale
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from attrs import validators

from crt_cli import guard
from crtcore.loading import Failed, call, guarded

CALLS = 100


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    """As in a command."""
    with guard.installed():
        yield


@pytest.fixture(params=[contextlib.nullcontext, guarded], ids=["alone", "guarded"])
def around(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[AbstractContextManager[Any]]:
    """What calls are made in; all is as before at the end."""
    monkeypatch.setattr(guard, "LIMIT", 0.2)
    before = state()
    yield request.param()
    assert state() == before


def state() -> tuple[Any, ...]:
    """What a call must not change."""
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    streams = sys.stdout, sys.stderr
    return handlers, streams, signal.getitimer(signal.ITIMER_REAL), sys.getrecursionlimit(), os.getcwd()  # noqa: PTH109


def hang() -> None:
    while True:
        time.sleep(1)


def catching() -> None:
    with contextlib.suppress(BaseException):
        signal.raise_signal(signal.SIGINT)


def test_what_is_raised_or_waits_fails_by_name_and_the_next_call_answers(around: AbstractContextManager[Any]) -> None:
    with around:
        for function, reason in (
            (hang, "no answer within 0.2 s"),
            (sys.exit, "SystemExit"),
            (lambda: 1 / 0, "division"),
        ):
            with pytest.raises(Failed, match=reason):
                call("x", function)

        assert call("x", int) == 0


def test_a_failure_has_its_cause(around: AbstractContextManager[Any]) -> None:
    with around, pytest.raises(Failed) as failed:
        call("x", lambda: 1 / 0)

    assert isinstance(failed.value.__cause__, ZeroDivisionError)


def test_a_call_inside_another_has_a_limit_of_its_own_and_so_has_the_other(around: AbstractContextManager[Any]) -> None:
    def both() -> None:
        with pytest.raises(Failed, match="no answer"):
            call("inner", hang)
        hang()

    with around, pytest.raises(Failed, match="no answer"):
        call("outer", both)


@pytest.mark.parametrize(
    "change",
    [
        lambda: signal.signal(signal.SIGALRM, signal.SIG_DFL), lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        lambda: signal.setitimer(signal.ITIMER_REAL, 0.01), lambda: sys.stderr.close(),  # noqa: PLW0108  # the one that is there then
        lambda: setattr(sys, "stdout", None), lambda: setattr(sys, "stderr", None), lambda: sys.setrecursionlimit(80),
        lambda: validators.set_disabled(True), lambda: sys.settrace(lambda *_: 1 / 0), lambda: os.chdir("/"),
    ],
)  # fmt: skip
def test_a_call_does_not_change_the_next(around: AbstractContextManager[Any], change: Any) -> None:
    with around:
        call("x", change)

        call("x", lambda: print("hello"))  # noqa: T201
        assert call("x", validators.get_disabled) is False
        with pytest.raises(Failed, match="no answer"):
            call("x", hang)
        with pytest.raises(KeyboardInterrupt):
            call("x", signal.raise_signal, signal.SIGINT)


def test_ctrl_c_is_raised_also_where_it_is_caught(around: AbstractContextManager[Any]) -> None:
    with around, pytest.raises(KeyboardInterrupt):
        call("x", catching)


def test_many_calls_look_at_the_process_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = Counter[str]()

    def counted(module: Any, name: str) -> None:
        function = getattr(module, name)

        def count(*args: Any) -> Any:
            counts[name] += 1
            return function(*args)

        monkeypatch.setattr(module, name, count)

    for module, name in ((os, "dup"), (os, "getcwd"), (locale, "setlocale"), (signal, "getsignal")):
        counted(module, name)
    with guarded():
        opened = Counter(counts)
        for _ in range(CALLS):
            call("x", int)

    during = counts - opened  # with the end, where all handlers are looked at
    assert during["getsignal"] <= 3 * CALLS + len(signal.valid_signals())
    assert during["dup"] == 0
    assert during["getcwd"] + during["setlocale"] <= 4
