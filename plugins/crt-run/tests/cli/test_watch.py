"""How far a study is: steps that are taken, and no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crt_run.cli.watch import Watch


@pytest.fixture
def watch(toy: Callable[..., Any]) -> Watch:
    """A watch on the toy study, as on a terminal."""
    watch = Watch(toy(), quiet=False)
    watch.plain = False
    return watch


def reading(stage: str, step: int, **more: Any) -> dict[str, Any]:
    return {"event": "reading", "stage": stage, "step": step, "steps": 100, **more}


def taken(watch: Watch) -> float:
    return watch.bar.tasks[watch.total].completed


def test_all_steps_are_those_of_every_stage(watch: Watch) -> None:
    assert watch.bar.tasks[watch.total].total == 9 + 7


def test_a_stage_counts_from_its_first_step_and_a_leg_from_where_it_began(watch: Watch) -> None:
    for event in (reading("whole", 3), reading("whole", 5), reading("leg", 82, start=80), reading("leg", 83, start=80)):
        watch(0, event)

    assert taken(watch) == 5 + 3


@pytest.mark.parametrize("steps", [0, 2, 30])
def test_a_run_that_ends_has_taken_all_its_steps(watch: Watch, steps: int) -> None:
    if steps:
        watch(0, reading("whole", steps))

    watch(0, {"event": "finished"})

    assert taken(watch) == 9 + 7
