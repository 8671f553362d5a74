"""The studies of a real model's states: each has one distance, its own baseline and its own claims."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from crtcore import discover
from crtcore.compose.plan import load

SPECS = Path(__file__).parents[1] / "specs" / "figures"
NEXT = [("baseline", other, "lower") for other in ("last-10", "before-30", "mean-30")]
AHEAD = [("mean-20", "last-20", "lower"), ("last-20", "baseline", "lower"), ("appended-30", "baseline", "lower")]


@pytest.mark.parametrize(
    ("name", "distance", "claims"),
    [
        ("last-vs-depth-vib-real", 1, NEXT),
        ("last-vs-depth-vib-real-full", 1, NEXT),
        ("last-vs-depth-vib-real-ahead", 8, AHEAD),
    ],
)
def test_arms_and_claims_are_of_one_distance(name: str, distance: int, claims: list[tuple[str, str, str]]) -> None:
    known = load(SPECS / f"{name}.toml", discover())

    experiments: list[Any] = [point.plan.experiment for point in known.points]
    assert {each.distance for each in experiments} == {distance}
    assert {(each.place, each.layer) for each in experiments} == {
        (place, layer) for place in ("last", "before", "mean", "appended") for layer in (10, 20, 30)
    }
    assert [(claim.arm, claim.against, claim.expect) for claim in known.claims] == claims


def test_each_of_twelve_arms_has_five_seeds() -> None:
    known = load(SPECS / "last-vs-depth-vib-real.toml", discover())

    points = Counter((point.arm, point.plan.seed) for point in known.points)

    assert set(points.values()) == {1}
    assert len(points) == 12 * 5
    assert {seed for _, seed in points} == set(range(5))


def test_the_baseline_is_the_last_id_after_all_blocks() -> None:
    known = load(SPECS / "last-vs-depth-vib-real-ahead.toml", discover())

    own: list[Any] = [point.plan.experiment for point in known.points if point.arm == known.baseline]

    assert {(each.place, each.layer, each.distance) for each in own} == {("last", 30, 8)}
