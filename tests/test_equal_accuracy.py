"""Bits at equal accuracy: interpolation on a curve of controls, seed by seed."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from crtcore import discover
from crtcore.compose.plan import load
from crtcore.kinds import Plan

ROOT = Path(__file__).resolve().parents[1]
BENCH: dict[str, Any] = runpy.run_path(str(ROOT / "bench" / "equal_accuracy.py"))
CURVE = {"few": (0.2, 1.0), "some": (0.4, 2.0), "many": (0.8, 3.0)}
"""Control arm to accuracy and bits; bits of `few` and `many` lie off the line through the others."""


def record(arm: tuple[float, float]) -> dict[str, Any]:
    """Two seeds; at the second all bits are 0.5 higher."""
    runs = []
    for name, (accuracy, bits) in {**CURVE, "own": arm}.items():
        for seed in (0, 1):
            numbers = {"reconstruction_accuracy": {"value": accuracy}, "code_bits": {"value": bits + seed / 2}}
            runs.append({"arm": name, "result": {"seed": seed, "numbers": numbers}})
    return {"runs": runs}


@pytest.mark.parametrize(
    ("arm", "expected"),
    [((0.3, 1.5), 0.0), ((0.3, 1.2), -0.3), ((0.6, 2.5), 0.0), ((0.4, 2.1), 0.1), ((0.8, 2.0), -1.0)],
)
def test_a_difference_is_that_to_the_control_at_the_same_accuracy(arm: tuple[float, float], expected: float) -> None:
    arms = BENCH["points"](record(arm))

    assert BENCH["differences"](arms, "own", list(CURVE)) == {
        0: pytest.approx(expected, abs=1e-12),
        1: pytest.approx(expected, abs=1e-12),
    }


@pytest.mark.parametrize("accuracy", [0.1, 0.9])
def test_outside_the_curve_there_is_no_value(accuracy: float) -> None:
    arms = BENCH["points"](record((accuracy, 1.0)))

    assert BENCH["differences"](arms, "own", list(CURVE)) == {0: None, 1: None}


def test_the_command_prints_each_arm_beside_the_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kept.json").write_text(json.dumps(record((0.3, 1.2))))
    monkeypatch.setattr(sys, "argv", ["equal_accuracy.py", str(tmp_path / "kept.json"), "--curve", ",".join(CURVE)])

    BENCH["main"]()

    assert "own           -0.3000 (-0.3000 to -0.3000), 2 seeds; 0 outside the curve" in capsys.readouterr().out


def plans(name: str) -> dict[str, Plan]:
    """Each arm's plan of the first seed."""
    points = load(ROOT / "specs" / "figures" / name, discover()).points
    return {point.arm: point.plan for point in reversed(points)}


def test_both_files_of_the_study_have_the_same_arms_but_for_their_steps() -> None:
    def without_steps(plan: Plan) -> dict[str, Any]:
        training = {**plan.identity["training"], "tokenizer": {**plan.identity["training"]["tokenizer"], "steps": 0}}
        return {**plan.identity, "training": training}

    flops, clock = plans("text-chunks-crt.toml"), plans("text-chunks-crt-time.toml")

    assert {arm: without_steps(plan) for arm, plan in flops.items()} == {
        arm: without_steps(plan) for arm, plan in clock.items()
    }
    assert flops["baseline"].identity == clock["baseline"].identity
