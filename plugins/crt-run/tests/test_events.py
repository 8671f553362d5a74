"""Events of runs, and packages that listen to them badly."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from crt_cli.guard import LEFT
from crt_run import events
from crt_run.events import Listeners
from crt_run.runs.records import RECORDS
from crt_run.sweeps import sweep
from crtcore.hooks import hookimpl
from crtcore.kinds import Json


class Heard:
    """A plugin that keeps what it hears."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    @hookimpl
    def crt_run_started(self, folder: Path, spec: Json) -> None:
        self.calls.append(("started", folder.name, spec["seed"]))

    @hookimpl
    def crt_reading(self, folder: Path, stage: str, step: int, name: str, value: float) -> None:
        self.calls.append(("reading", folder.name, stage, step, name, value))

    @hookimpl
    def crt_checkpoint_saved(self, folder: Path, stage: str, step: int, checkpoint: Path) -> None:
        self.calls.append(("saved", folder.name, stage, step, checkpoint.name, checkpoint.is_dir()))

    @hookimpl
    def crt_run_ended(self, folder: Path, problem: str | None) -> None:
        self.calls.append(("ended", folder.name, problem))


class Raises:
    """A plugin that raises at each reading, something that ends a thread."""

    times = 0

    @hookimpl
    def crt_reading(self) -> None:
        self.times += 1
        raise SystemExit("no more")


class Hangs:
    """A plugin that gives no answer until it is released."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.times = 0

    @hookimpl
    def crt_reading(self) -> None:
        self.times += 1
        self.release.wait()


class Other:
    """A plugin that listens to no event."""

    @hookimpl
    def crt_commands(self) -> list[Any]:
        return []


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes entry points of objects."""
    module = ModuleType("plugged_for_tests")
    monkeypatch.setitem(sys.modules, module.__name__, module)

    def make(**plugins: object) -> list[EntryPoint]:
        for name, plugin in plugins.items():
            setattr(module, name, plugin)
        return [EntryPoint(name, f"{module.__name__}:{name}", "crtcore") for name in plugins]

    yield make
    LEFT.clear()


def reading(step: int, **values: object) -> dict[str, Any]:
    return {"event": "reading", "stage": "prior", "step": step, "steps": 9, **values}


def interrupted(listeners: Listeners) -> None:
    with listeners:
        listeners(0, STARTED)
        raise KeyboardInterrupt


STARTED: dict[str, Any] = {"event": "started", "folder": "runs/toy/a", "spec": {"seed": 0}}


def test_a_study_is_heard_whole_and_in_order(toy: Any, runs: Path, plugged: Any) -> None:
    heard, study = Heard(), toy("sweep.seed=[0, 1]")

    with Listeners(pytest.fail, plugged(heard=heard, other=Other())) as listeners:
        sweep.run(study, runs, listeners)

    for seed, point in enumerate(study.points):
        own = [call for call in heard.calls if call[1] == point.plan.hash]
        assert own[0] == ("started", point.plan.hash, seed)
        assert own[-1] == ("ended", point.plan.hash, None)
        saved = [call[2:] for call in own if call[0] == "saved"]
        assert [(stage, step) for stage, step, name, there in saved] == [
            ("tokenizer", 4), ("tokenizer", 8), ("tokenizer", 9), ("prior", 3), ("prior", 6), ("prior", 7),
        ]  # fmt: skip
        losses = [call[3] for call in own if call[0] == "reading" and call[2] == "prior" and call[4] == "loss"]
        assert losses == [1, 2, 3, 4, 5, 6, 7]
        assert {call[4] for call in own if call[0] == "reading"} >= {"validation", "distortion", "gradient_norm.prior"}
    assert (runs / "toy" / study.points[0].plan.hash / RECORDS).is_file()


def test_a_finished_run_is_not_heard_again(toy: Any, runs: Path, plugged: Any) -> None:
    study = toy()
    sweep.run(study, runs, lambda index, event: None)
    heard = Heard()

    with Listeners(pytest.fail, plugged(heard=heard)) as listeners:
        sweep.run(study, runs, listeners)

    assert heard.calls == []


def test_readings_that_come_again_are_given_once(plugged: Any) -> None:
    heard = Heard()

    with Listeners(pytest.fail, plugged(heard=heard)) as listeners:
        listeners(0, STARTED)
        for step in (1, 2, 1, 2, 3):
            listeners(0, reading(step, loss=step / 2, text="no number", good=True))
        listeners(0, {"event": "note", "text": "a note"})
        listeners(0, {"event": "finished", "problem": "no memory"})

    assert [call[2:] for call in heard.calls[1:-1]] == [("prior", s, "loss", s / 2) for s in (1, 2, 3)]
    assert heard.calls[-1] == ("ended", "a", "no memory")


def test_a_run_that_is_interrupted_ends_for_its_listeners(plugged: Any) -> None:
    heard = Heard()

    listeners = Listeners(pytest.fail, plugged(heard=heard))
    with pytest.raises(KeyboardInterrupt):
        interrupted(listeners)

    assert heard.calls[-1] == ("ended", "a", "stopped")


def test_a_listener_that_raises_is_one_warning_and_hears_no_more(plugged: Any) -> None:
    raises, heard, said = Raises(), Heard(), []

    with Listeners(said.append, plugged(raises=raises, heard=heard)) as listeners:
        listeners(0, STARTED)
        for step in range(1, 50):
            listeners(0, reading(step, loss=0.0))
            time.sleep(0.001)

    text = (
        "warning: plugin 'raises': crt_reading raised SystemExit: no more; it gets no more events, and the run goes on"
    )
    assert said == [text]
    assert raises.times == 1
    assert len([call for call in heard.calls if call[0] == "reading"]) == 49


def test_a_listener_that_hangs_is_one_warning_and_no_wait(plugged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LIMIT", 0.2)
    hangs, heard, said = Hangs(), Heard(), []
    began = time.monotonic()

    with Listeners(said.append, plugged(hangs=hangs, heard=heard)) as listeners:
        listeners(0, STARTED)
        for step in range(1, 9):
            listeners(0, reading(step, loss=0.0))
            time.sleep(0.05)
    seconds = time.monotonic() - began
    hangs.release.set()

    assert said == [
        "warning: plugin 'hangs': crt_reading gives no answer in 0.2 s; it gets no more events, and the run goes on"
    ]
    assert hangs.times == 1
    assert len([call for call in heard.calls if call[0] == "reading"]) == 8
    assert seconds < 10


def test_a_listener_that_hangs_at_the_end_is_left(plugged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LIMIT", 0.2)
    hangs, said = Hangs(), []

    with Listeners(said.append, plugged(hangs=hangs)) as listeners:
        listeners(0, STARTED)
        listeners(0, reading(1, loss=0.0))
    thread = listeners.listeners[0]

    assert len(said) == 1
    assert "have no answer after 0.2 s" in said[0]
    assert thread in LEFT  # the process must not wait for it
    hangs.release.set()
    thread.join(10)


def test_what_listeners_print_is_no_result(plugged: Any, capsys: pytest.CaptureFixture[str]) -> None:
    class Prints:
        @hookimpl
        def crt_run_started(self) -> None:
            sys.stdout.write("chatter")

    with Listeners(pytest.fail, plugged(prints=Prints())) as listeners:
        listeners(0, STARTED)

    shown = capsys.readouterr()
    assert shown.out == ""
    assert "chatter" in shown.err


def test_a_package_without_these_hooks_has_no_thread(plugged: Any) -> None:
    assert Listeners(pytest.fail, plugged(other=Other())).listeners == []
