"""Gaps between the curves of arms: where they are taken, how they are paired, and which arm is lower where."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crt_run.present.sentences import gap, sentences
from crt_run.sweeps.curves import PLACES, Span, along, common, gaps, mean
from crtcore.kinds import Figure

FIGURE = Figure(across="rate", lines="arm", numbers=("loss",), along="weight", references=("floor",))
Curve = list[tuple[float, float]]


class Study(NamedTuple):
    """As much of an experiment's spec as gaps look at."""

    figures: tuple[Figure, ...] = (FIGURE,)


class Planned(NamedTuple):
    """As much of a plan."""

    seed: int
    experiment: Study


class Ran(NamedTuple):
    """As much of a point of a study."""

    arm: str
    settings: dict[str, Any]
    plan: Planned


def number(value: float) -> dict[str, Any]:
    return {"value": value, "unit": "nats", "n": 1}


def compared(arms: Mapping[str, list[Curve]], figure: Figure = FIGURE) -> list[dict[str, Any]]:
    """The gaps between arms, given a curve for each seed."""
    points, results = [], {}
    for arm, curves in arms.items():
        for seed, curve in enumerate(curves):
            results[len(points)] = {
                "points": [
                    {"labels": {"weight": at}, "numbers": {"rate": number(x), "loss": number(y)}}
                    for at, (x, y) in enumerate(curve)
                ]
            }
            points.append(Ran(arm, {}, Planned(seed, Study((figure,)))))
    return gaps(points, results)  # type: ignore[arg-type]


def line(start: float, end: float, height: float, slope: float = -1.0) -> Curve:
    """A straight curve."""
    places = [start + (end - start) * step / 4 for step in range(5)]
    return [(x, height + slope * x) for x in places]


def test_curves_are_compared_where_all_of_them_reach_and_nowhere_else() -> None:
    (result,) = compared({"a": [line(0, 3, 5), line(1, 4, 5)], "b": [line(0.5, 2.5, 6), line(0, 9, 6)]})

    assert (result["low"], result["high"]) == (1, 2.5)
    assert result["difference"]["value"] == pytest.approx(1)


def test_differences_are_paired_by_seed() -> None:
    (result,) = compared({"a": [line(0, 1, 0), line(0, 1, 10)], "b": [line(0, 1, 0.2), line(0, 1, 10.4)]})

    difference = result["difference"]
    assert difference["value"] == pytest.approx(0.3)
    half = 12.7062 * math.sqrt(0.02) / math.sqrt(2)  # the 0.975 quantile of t with one degree of freedom
    assert difference["high"] - difference["value"] == pytest.approx(half, rel=1e-4)
    assert difference["same_sign"] == 2


def test_each_stretch_has_the_side_that_is_ahead_there() -> None:
    level = [[(0.0, 0.0), (1.0, 0.0)]] * 3
    crossing = [[(0.0, 1.0 + jitter), (1.0, -1.0 + jitter)] for jitter in (-0.01, 0.0, 0.01)]

    (result,) = compared({"level": level, "crossing": crossing})

    ((first, last),) = result["higher"]
    ((start, end),) = result["lower"]
    assert (first, end) == (0, 1)
    assert 0.4 < last < 0.5 < start < 0.6
    assert result["difference"]["low"] < 0 < result["difference"]["high"]


def test_curves_that_share_no_range_are_not_compared() -> None:
    (result,) = compared({"a": [line(0, 1, 5)], "b": [line(2, 3, 5)]})

    assert result["difference"] is None
    assert gap(result).endswith("loss is not compared, as the curves share no range of rate")


def test_one_seed_has_no_interval_and_leaves_curves_undecided() -> None:
    (result,) = compared({"a": [line(0, 1, 5)], "b": [line(0, 1, 6)]})

    assert "low" not in result["difference"]
    assert (result["lower"], result["higher"]) == ([], [])
    assert "undecided, as one seed has no interval" in gap(result)


def test_every_pair_of_arms_is_compared_once() -> None:
    result = compared({name: [line(0, 1, 5)] * 2 for name in "abc"})

    assert [(each["arm"], each["against"]) for each in result] == [("b", "a"), ("c", "a"), ("c", "b")]


def test_a_chosen_horizontal_axis_has_no_gaps() -> None:
    assert compared({"a": [line(0, 1, 5)], "b": [line(0, 1, 6)]}, FIGURE._replace(along=None)) == []


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=8), st.floats(-3, 3), st.floats(-3, 3))
def test_a_straight_curve_is_straight_wherever_its_points_lie(places: list[float], height: float, slope: float) -> None:
    ends = min(places), max(places)
    curve = sorted((x, height + slope * x) for x in places)
    span = common([curve])
    if span is None:
        assert ends[0] == ends[1]
        return

    result = along(curve, span)

    assert len(result) == PLACES
    assert result == pytest.approx([height + slope * x for x in span.places], abs=1e-9)
    assert mean(result) == pytest.approx(height + slope * sum(ends) / 2, abs=1e-9)


def test_a_range_that_no_two_curves_share_is_none() -> None:
    assert common([[(0.0, 1.0), (1.0, 1.0)], [(1.0, 1.0), (2.0, 1.0)]]) is None
    assert common([[(0.0, 1.0), (1.5, 1.0)], [(1.0, 1.0), (2.0, 1.0)]]) == Span(1.0, 1.5)


# Sentences


def test_a_tie_is_reported_as_a_tie() -> None:
    noisy = [[(0.0, jitter), (1.0, jitter)] for jitter in (-0.02, 0.01, 0.02)]

    (result,) = compared({"a": [[(0.0, 0.0), (1.0, 0.0)]] * 3, "b": noisy})

    assert gap(result) == (
        "b against a, rate 0.000 to 1.00: a tie in the mean, loss +0.003 ± 0.052 (2/3); a tie at every point"
    )


def test_the_side_that_is_ahead_is_named_with_its_stretch() -> None:
    ahead = [[(0.0, -0.5 + jitter), (2.0, -0.5 + jitter)] for jitter in (-0.01, 0.0, 0.01)]

    (result,) = compared({"a": [[(0.0, 0.0), (2.0, 0.0)]] * 3, "b": ahead})

    assert gap(result) == (
        "b against a, rate 0.000 to 2.00: loss lower in the mean, -0.500 ± 0.025 (3/3); "
        "lower where rate is 0.000 to 2.00, a tie elsewhere"
    )


def test_notes_of_the_runs_of_a_sweep_are_reported_with_their_run() -> None:
    ran = {"group": "slow", "result": {"seed": 3, "notes": ["failed to learn"]}}

    output = sentences({"runs": [ran, {"group": "lost", "result": None}]})

    assert output == ["slow, seed 3: failed to learn"]
