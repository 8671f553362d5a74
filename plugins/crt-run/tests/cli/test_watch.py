"""How far a study is: steps that are taken, and no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import crt_run.cli.watch as watch_module
from crt_run.cli.standing import standing
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


def test_a_sweep_shows_a_table_of_the_runs_that_finished(toy: Callable[..., Any], capsys: Any) -> None:
    study = toy("sweep.arms={baseline = {}, other = {'prior.order' = 0}}", "sweep.seed=[0, 1]")
    watch = Watch(study, quiet=False)
    watch.plain = False
    ended = {(point.arm, point.plan.seed): index for index, point in enumerate(study.points)}
    for (arm, seed), value in {("baseline", 0): 3.0, ("other", 0): 1.0, ("baseline", 1): 5.0}.items():
        numbers = {"length": {"value": value, "unit": "bits", "n": 9}}
        watch(ended[arm, seed], {"event": "finished", "result": {"numbers": numbers}})

    watch.console.print(watch.bar.get_renderable())

    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in capsys.readouterr().err.splitlines()]
    # half of the t interval of two values: 12.706 times their half distance 1
    assert ["baseline", "2/2", "4.00 ± 12.71"] in rows
    assert ["other", "1/2", "1.00"] in rows


def test_many_runs_that_finish_at_once_have_one_table_drawn(
    toy: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    study = toy("sweep.seed=[0, 1, 2, 3, 4, 5, 6, 7]")
    drawn: list[int] = []

    def counted(study: Any, results: Any) -> Any:
        drawn.append(len(results))
        return standing(study, results)

    monkeypatch.setattr(watch_module, "standing", counted)
    watch = Watch(study, quiet=False)
    watch.plain = False

    with watch:
        for index in range(len(study.points)):
            watch(index, {"event": "finished", "result": {"numbers": {}}})
            watch.bar.get_renderable()
    watch.bar.get_renderable()

    assert drawn == [1, 8]  # the first one, and at the end the whole


def test_lines_show_no_steps_that_were_trained_before(toy: Callable[..., Any], capsys: Any) -> None:
    watch = Watch(toy(), quiet=True)

    for step in (1, 60):
        watch(0, reading("whole", step, again=True))  # in full
    watch(0, reading("leg", 30, again=True))  # resumed
    watch(0, reading("leg", 31))

    assert [line.split(": ")[-1] for line in capsys.readouterr().err.splitlines()] == ["leg 31/100"]
