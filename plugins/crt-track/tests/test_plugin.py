from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from crt_track import plugin, sinks
from crt_track.plugin import Tracking
from crt_track.sinks import Started, Tracker, check, flat
from crtcore.errors import RunError
from crtcore.registry import NotInstalled

OPENED: list[Any] = []


class Listed:
    """A sink that keeps what it gets."""

    def __init__(self, started: Started) -> None:
        self.started = started
        self.got: list[Any] = []
        OPENED.append(self)

    def reading(self, stage: str, step: int, name: str, value: float) -> None:
        self.got.append((stage, step, name, value))

    def end(self, numbers: Mapping[str, float], problem: str | None) -> None:
        self.got.append((dict(numbers), problem))


class Broken(Listed):
    """A sink whose library raises."""

    def reading(self, stage: str, step: int, name: str, value: float) -> None:
        raise OSError("disk full")


@pytest.fixture
def tracking(monkeypatch: pytest.MonkeyPatch) -> Tracking:
    known = {name: Tracker("json", f"{__name__}:{name}") for name in ("Listed", "Broken")}
    monkeypatch.setattr(sinks, "TRACKERS", known)
    monkeypatch.setattr(sinks, "resolve", lambda name: globals()[name.partition(":")[2]])
    OPENED.clear()
    return Tracking()


def drive(tracking: Tracking, folder: Path, problem: str | None = None) -> None:
    """A run with one reading."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps({"numbers": {"bits": {"value": 2.5, "unit": "bits", "n": 1}}}))
    tracking.crt_run_started(folder, {"name": "toy", "seed": 3})
    tracking.crt_reading(folder, "prior", 1, "loss", 0.5)
    tracking.crt_run_ended(folder, problem)


def test_without_a_choice_nothing_is_opened(
    tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(plugin.CHOSEN, raising=False)

    drive(tracking, tmp_path / "toy" / "0123456789ab")

    assert OPENED == []


def test_a_run_is_opened_written_and_ended(tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(plugin.CHOSEN, "Listed")

    drive(tracking, tmp_path / "toy" / "0123456789ab")
    drive(tracking, tmp_path / "toy" / "ba9876543210", "no memory")

    assert [each.started.project for each in OPENED] == ["toy", "toy"]
    assert [each.started.name[:13] for each in OPENED] == ["0123456789ab-", "ba9876543210-"]
    assert OPENED[0].got == [("prior", 1, "loss", 0.5), ({"bits": 2.5}, None)]
    assert OPENED[1].got == [("prior", 1, "loss", 0.5), ({}, "no memory")]
    assert tracking.sinks == {}


def test_a_tracker_that_raises_is_one_warning_and_the_others_go_on(
    tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(plugin.CHOSEN, "Broken,Listed")

    for name in "ab":
        drive(tracking, tmp_path / "toy" / name)

    assert capsys.readouterr().err == (
        "warning: tracker Broken: OSError: disk full; it gets nothing more, and the run goes on\n"
    )
    assert [each.got for each in OPENED if type(each) is Listed] == [
        [("prior", 1, "loss", 0.5), ({"bits": 2.5}, None)]
    ] * 2


def test_a_name_that_is_no_tracker_names_the_nearest() -> None:
    with pytest.raises(NotInstalled, match="--track tensorbord: expected a tracker; did you mean 'tensorboard'"):
        check(["tensorbord"])


def test_a_library_that_is_missing_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks, "TRACKERS", {"none": Tracker("no_such_library", "")})

    with pytest.raises(
        RunError, match=r"expected the library no_such_library, got none: pip install 'crt-track\[none\]'"
    ):
        check(["none"])


def test_a_library_that_cannot_be_imported_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> None:
        raise ImportError("libcudart.so.13")

    monkeypatch.setattr(sinks, "TRACKERS", {"broken": Tracker("json", "")})
    monkeypatch.setattr(sinks, "resolve", broken)

    with pytest.raises(RunError, match=r"--track broken: its library cannot be imported .ImportError: libcudart.so.13"):
        check(["broken"])


def test_settings_are_one_table() -> None:
    spec = {"seed": 1, "prior": {"use": "table", "orders": [1, 2]}, "metric": [{"use": "a"}, {"use": "b"}], "none": {}}

    assert flat(spec) == {
        "seed": 1, "prior.use": "table", "prior.orders": [1, 2], "metric.0.use": "a", "metric.1.use": "b", "none": {},
    }  # fmt: skip
