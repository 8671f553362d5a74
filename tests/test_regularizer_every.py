"""A regulariser that penalises the last of every few steps, at this many times its weight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crt_cost.outline import outlined
from crt_run.training.objective import Inputs, Objective, built
from crt_run.training.outline import BlankData
from crtcore import discover
from crtcore.compose.plan import load

SMOKE = Path(__file__).parents[1] / "specs" / "smoke.toml"


def objective(*overrides: str) -> Objective:
    """The tokenizer's objective of the smoke spec, on blank data."""
    plan = load(SMOKE, discover(), overrides).points[0].plan
    stage = plan.stages[0]
    return built(Inputs(stage, BlankData(outlined(plan.parts["dataset"]), stage.training.batch)))


def terms(step: int, progress: float, *overrides: str) -> Any:
    return objective(*overrides).loss(step, progress).terms


@pytest.mark.parametrize(("step", "due"), [(0, False), (1, False), (2, True), (3, False), (5, True)])
def test_the_last_of_every_three_steps_has_the_loss_at_three_times_the_weight(step: int, due: bool) -> None:
    whole = terms(step, 0.5)["regularizer.0"]

    result = terms(step, 0.5, "regularizer.0.every=3")

    assert ("regularizer.0" in result) == due
    if due:
        assert result["regularizer.0"].item() == pytest.approx(3 * whole.item())


def test_on_other_steps_the_loss_is_that_without_the_regulariser() -> None:
    loss, alone = (objective(change).loss(0, 0.5).total for change in ("regularizer.0.every=2", "regularizer=[]"))

    assert loss.item() == alone.item()


def test_costs_are_counted_with_it() -> None:
    """At progress 1, which no step of a training has."""
    assert "regularizer.0" in terms(0, 1.0, "regularizer.0.every=7")


def test_the_default_leaves_the_address_of_a_stage_as_it_was() -> None:
    whole, every = (
        load(SMOKE, discover(), (f"regularizer.0.every={number}",)).points[0].plan.stages[0].key for number in (1, 2)
    )

    assert whole != every
    assert whole == load(SMOKE, discover()).points[0].plan.stages[0].key
