"""Gaps between the curves of arms, for figures whose horizontal axis is a measured number."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from crt_run.runs.numbers import number
from crt_run.statistics import interval, paired
from crtcore.compose.study import Point, labels
from crtcore.kinds import Figure

PLACES = 65
"""Evenly spaced places of a range, at which curves are compared."""

Curve: TypeAlias = "Sequence[tuple[float, float]]"
"""Points from left to right."""


class Span(NamedTuple):
    """A range of the horizontal axis."""

    low: float
    high: float

    @property
    def places(self) -> list[float]:
        """Evenly spaced places, including both ends."""
        return [float(place) for place in np.linspace(self.low, self.high, PLACES)]


class Where(NamedTuple):
    """What curves that are compared have in common."""

    settings: Mapping[str, Any]
    labels: Mapping[str, Any]
    """Of their points, but for the one that a curve runs through."""
    unit: str
    """Of the vertical axis."""


def common(curves: Iterable[Curve]) -> Span | None:
    """The range that all curves cover; None if there is none."""
    ends = [(curve[0][0], curve[-1][0]) for curve in curves]
    low, high = max(low for low, _ in ends), min(high for _, high in ends)
    return Span(low, high) if low < high else None


def along(curve: Curve, span: Span) -> list[float]:
    """The curve at the places of a range inside its own, interpolated linearly."""
    across, up = zip(*curve, strict=True)
    return [float(value) for value in np.interp(span.places, across, up)]


def mean(values: Sequence[float]) -> float:
    """The mean over a range from values at its places, by the trapezoidal rule."""
    return float(np.trapezoid(values) / (len(values) - 1))


def gaps(points: Sequence[Point], results: Mapping[int, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each pair of arms, how far the curves of the later one are above those of the earlier one.

    Differences are paired by seed and averaged over the range that the curves of all arms and seeds cover; nothing is
    extrapolated. `lower` and `higher` are the stretches where the pointwise interval over seeds excludes 0.
    """
    figures = points[0].plan.experiment.figures if points else ()
    comparisons = []
    for figure, name in ((each, name) for each in figures if each.along for name in each.numbers):
        for where, arms in _curves(points, results, figure, name):
            span = common(curve for by_seed in arms.values() for curve in by_seed.values())
            for against, arm in itertools.combinations(arms, 2):
                pair = {"number": name, "across": figure.across, "arm": arm, "against": against}
                place = {"settings": dict(where.settings), "labels": dict(where.labels)}
                comparisons.append(pair | place | _gap(arms[arm], arms[against], span, where.unit))
    return comparisons


def _curves(
    points: Sequence[Point], results: Mapping[int, Mapping[str, Any]], figure: Figure, name: str
) -> Iterator[tuple[Where, dict[str, dict[int, Curve]]]]:
    """Settings and further labels, with arm to seed to curve."""
    places: dict[tuple[str, ...], Where] = {}
    groups: dict[tuple[str, ...], dict[str, dict[int, list[tuple[float, float]]]]] = {}
    for index, point in enumerate(points):
        for row in results.get(index, {}).get("points", ()):
            if figure.across in (numbers := row["numbers"]) and name in numbers:
                across, up = number(numbers[figure.across]), number(numbers[name])
                further = {label: value for label, value in row["labels"].items() if label != figure.along}
                key = (*labels(point.settings), "", *labels(further))
                places.setdefault(key, Where(point.settings, further, up.unit))
                curves = groups.setdefault(key, {}).setdefault(point.arm, {})
                curves.setdefault(point.plan.seed, []).append((across.value, up.value))
    for key, arms in groups.items():
        yield (
            places[key],
            {arm: {seed: sorted(curve) for seed, curve in by_seed.items()} for arm, by_seed in arms.items()},
        )


def _gap(curves: Mapping[int, Curve], others: Mapping[int, Curve], span: Span | None, unit: str) -> dict[str, Any]:
    if span is None:
        return {"low": None, "high": None, "difference": None, "lower": [], "higher": []}
    mine, theirs = ({seed: along(curve, span) for seed, curve in each.items()} for each in (curves, others))
    difference = paired(
        {seed: mean(each) for seed, each in mine.items()}, {seed: mean(each) for seed, each in theirs.items()}, unit
    )
    shared = [seed for seed in mine if seed in theirs]
    signs = [_sign([mine[seed][at] - theirs[seed][at] for seed in shared]) for at in range(PLACES)]
    return {
        **span._asdict(),
        "difference": difference,
        "lower": [list(stretch) for stretch in _stretches(signs, -1, span)],
        "higher": [list(stretch) for stretch in _stretches(signs, 1, span)],
    }


def _sign(differences: list[float]) -> int:
    """-1 or 1 if the interval over seeds is on one side of 0; 0 if it is not, or there is none."""
    if len(differences) < 2:
        return 0
    _, _, _, low, high = interval(differences, "")
    assert low is not None
    assert high is not None
    return int(low > 0) - int(high < 0)


def _stretches(signs: Sequence[int], wanted: int, span: Span) -> Iterator[Span]:
    """Stretches of neighbouring places with the wanted sign."""
    places = span.places
    for sign, group in itertools.groupby(range(len(signs)), key=lambda at: signs[at]):
        if sign == wanted:
            inside = list(group)
            yield Span(places[inside[0]], places[inside[-1]])
