"""Calls of plugins' code without a command: what it raises is its fault, and the process is left alone."""

from __future__ import annotations

import os
import signal
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from crtcore.compose.document import parse
from crtcore.compose.plan import study
from crtcore.loading import Failed, call
from crtcore.registry import Registry, discover


@pytest.fixture
def touched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of functions that were called to change handlers, timers, streams or the folder."""
    names: list[str] = []

    def noted(module: Any, name: str) -> None:
        function = getattr(module, name)

        def note(*args: Any) -> Any:
            names.append(name)
            return function(*args)

        monkeypatch.setattr(module, name, note)

    for module, name in ((signal, "signal"), (signal, "setitimer"), (os, "dup"), (os, "chdir")):
        noted(module, name)
    return names


def test_discovery_in_a_library_leaves_handlers_and_timers_alone(
    touched: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "planted_exit.py").write_text("raise SystemExit(3)")
    plugins = {"bad": "planted_exit", "good": "crt_basics.plugin"}

    registry = discover(EntryPoint(name, module, "crtcore") for name, module in plugins.items())

    assert registry.broken == ("plugin 'bad' could not be loaded (SystemExit: 3)",)
    assert "fsq" in registry.names("bottleneck")
    assert touched == []


def test_a_guard_does_touch_them(touched: list[str], guard: None) -> None:
    call("x", int)

    assert {"signal", "setitimer", "dup"} <= set(touched)


def test_what_is_raised_is_the_cause_of_a_failure() -> None:
    with pytest.raises(Failed, match="division") as failed:
        call("x", lambda: 1 / 0)

    assert isinstance(failed.value.__cause__, ZeroDivisionError)


def test_what_is_expected_is_raised_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        call("x", lambda: 1 / 0, expected=(ArithmeticError,))


def test_ctrl_c_is_raised() -> None:
    with pytest.raises(KeyboardInterrupt):
        call("x", signal.raise_signal, signal.SIGINT)


def test_a_study_is_read_inside_one_guard(registry: Registry, sample: str, touched: list[str], guard: None) -> None:
    study(parse(sample, "sample.toml"), registry)

    assert touched.count("dup") == 1
