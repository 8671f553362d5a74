"""Measured costs of a step are kept, and made anew where the file is missing, damaged, or about something else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from crt_verify.lookup import step_cost as module
from crt_verify.lookup.step_cost import COUNTS, counts, measured, step_cost

from .test_decoder import cycle

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "crt-verify" / "steps"


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def changed(**values: Any) -> Callable[[Path], object]:
    """Puts other values in the file."""
    return lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_counts_end_at_the_most_nodes() -> None:
    assert counts(1) == (1,)
    assert counts(9) == (1, 2, 3, 4, 6, 8, 9)
    assert counts(128) == COUNTS


def test_a_step_has_a_time_for_each_count() -> None:
    seconds = measured(cycle(4, 5), (1, 3), CPU)

    assert len(seconds) == 2
    assert min(seconds) > 0


def test_it_is_measured_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = step_cost(cycle(4, 5), 1, 3, CPU)
    monkeypatch.setattr(module, "measured", None)

    again = step_cost(cycle(4, 5), 1, 3, CPU)

    assert first.origin == f"measured, as there was no file yet, and kept in {only(folder)}"
    assert again == first._replace(origin=f"read from {only(folder)}")


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_text(path.read_text()[:40]),
        lambda path: path.write_bytes(b"\xff\x00"),
        lambda path: path.write_text("[" * 50_000),
        lambda path: path.write_text("[1, 2]"),
        changed(facts={}),
        changed(seconds=[1.0]),
        changed(seconds=[1.0, 2.0, "3"]),
        changed(seconds=[1.0, 2.0, float("nan")]),
        changed(seconds=[1.0, 2.0, -1.0]),
        changed(nodes=[1, 2, 4]),
    ],
)
def test_a_damaged_file_means_measuring_anew(folder: Path, damage: Callable[[Path], object]) -> None:
    step_cost(cycle(4, 5), 1, 3, CPU)
    damage(only(folder))

    anew = step_cost(cycle(4, 5), 1, 3, CPU)

    assert anew.origin.startswith(f"measured, as {only(folder)} was damaged (")
    assert step_cost(cycle(4, 5), 1, 3, CPU).origin.startswith("read from")


def test_a_folder_that_cannot_be_written_changes_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    cost = step_cost(cycle(4, 5), 1, 2, CPU)

    assert cost.nodes == (1, 2)
    assert "not kept (" in cost.origin


def test_several_rows_cost_what_one_row_of_as_many_nodes_does(folder: Path) -> None:
    one, three = step_cost(cycle(4, 5), 1, 6, CPU), step_cost(cycle(4, 5), 3, 2, CPU)

    assert three.nodes == (1, 2)
    assert three.seconds == (one(3), one(6))


def test_a_wrapper_costs_what_its_prior_does(folder: Path) -> None:
    wrapper, first = cycle(4, 6), step_cost(cycle(4, 5), 1, 2, CPU)  # of its own it would be measured apart
    wrapper.prior = cycle(4, 5)

    assert step_cost(wrapper, 1, 2, CPU).seconds == first.seconds


def test_other_weights_types_threads_counts_and_packing_are_measured_apart(folder: Path) -> None:
    def keep(prior: Any, most: int = 2) -> None:
        step_cost(prior, 1, most, CPU)

    packed = cycle(4, 5)
    packed.packing = "packed: 3 layers"  # type: ignore[assignment]
    keep(cycle(4, 5))
    keep(cycle(4, 6))
    keep(packed)
    keep(cycle(4, 5).float())
    keep(cycle(4, 5), most=3)
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        keep(cycle(4, 5))
    finally:
        torch.set_num_threads(threads)

    assert len(list(folder.iterdir())) == 6
