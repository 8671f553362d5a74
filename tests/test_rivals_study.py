"""The study of CRT's rivals: arms at equal FLOPs, and the same arms at equal time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crt_cost.stages import costs
from crt_data.specs import Photos
from crt_run.training.outline import outline_of
from crtcore import discover
from crtcore.compose.plan import load
from crtcore.kinds import Plan

FOLDER = Path(__file__).parent.parent / "specs" / "figures"


def plans(name: str) -> dict[str, Plan]:
    """Each arm's plan of the first seed."""
    points = load(FOLDER / name, discover()).points
    return {point.arm: point.plan for point in reversed(points)}


@pytest.mark.slow
def test_stage_one_of_every_arm_has_the_flops_of_the_baseline() -> None:
    arms = plans("tokenizers-2026.toml")
    data = outline_of(arms["baseline"].parts["dataset"].build())

    flops = {arm: costs(plan, data)[0].flops for arm, plan in arms.items()}

    assert len(flops) == 13
    assert flops == pytest.approx(dict.fromkeys(flops, flops["baseline"]), rel=0.002)


def test_both_files_have_the_same_arms_but_for_their_steps() -> None:
    def without_steps(plan: Plan) -> dict[str, Any]:
        training = {**plan.identity["training"], "tokenizer": {**plan.identity["training"]["tokenizer"], "steps": 0}}
        return {**plan.identity, "training": training}

    flops, clock = plans("tokenizers-2026.toml"), plans("tokenizers-2026-time.toml")

    assert {arm: without_steps(plan) for arm, plan in flops.items()} == {
        arm: without_steps(plan) for arm, plan in clock.items()
    }
    assert [arm for arm in flops if flops[arm].identity == clock[arm].identity] == ["baseline"]


@pytest.mark.parametrize("size", ["", "-full"])
def test_the_arms_on_photographs_are_those_on_scenes(size: str) -> None:
    scenes, photographs = plans(f"tokenizers-2026-shapes{size}.toml"), plans(f"tokenizers-2026-photographs{size}.toml")

    assert all(plan.parts["dataset"] == Photos(size=32) for plan in photographs.values())
    assert {arm: {**plan.identity, "dataset": None} for arm, plan in photographs.items()} == {
        arm: {**plan.identity, "dataset": None} for arm, plan in scenes.items()
    }
