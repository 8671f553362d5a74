"""The results of a run or sweep as sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from crt_run.present.tables import change, crosses, label, short
from crt_run.runs.numbers import number
from crtcore.compose.study import labels


def sentences(values: Mapping[str, Any]) -> list[str]:
    """The notes of a run, or of each run of a sweep, and a comparison for each gap between curves."""
    lines = list(values.get("notes", ()))
    for run in values.get("runs", ()):
        if result := run["result"]:
            lines += [f"{run['group']}, seed {result['seed']}: {note}" for note in result.get("notes", ())]
    return lines + [gap(each) for each in values.get("gaps", ())]


def gap(curves: Mapping[str, Any]) -> str:
    """Which of two curves is lower, and where; or that they tie or cannot be compared."""
    name, across = label(curves["number"]), label(curves["across"])
    settings = [*labels(curves["settings"]), *labels(curves["labels"])]
    where = f" at {', '.join(settings)}" if settings else ""
    pair = f"{curves['arm']} against {curves['against']}{where}"
    if curves["low"] is None:
        return f"{pair}: {name} is not compared, as the curves share no range of {across}"
    span = f"{across} {short(curves['low'])} to {short(curves['high'])}"
    difference = curves["difference"]
    if difference is None:
        return f"{pair}: {name} is not compared, as no seed has both curves"
    if number(difference).low is None:
        return f"{pair}, {span}: {name} {change(difference)} in the mean; undecided, as one seed has no interval"
    if crosses(difference):
        verdict = f"a tie in the mean, {name} {change(difference)}"
    else:
        verdict = f"{name} {'lower' if difference['value'] < 0 else 'higher'} in the mean, {change(difference)}"
    return f"{pair}, {span}: {verdict}; {_stretches(curves, across)}"


def _stretches(curves: Mapping[str, Any], across: str) -> str:
    """The stretches of the axis where the pointwise interval excludes 0."""
    sides = [
        f"{side} where {across} is {_joined(f'{short(low)} to {short(high)}' for low, high in curves[side])}"
        for side in ("lower", "higher")
        if curves[side]
    ]
    return f"{' and '.join(sides)}, a tie elsewhere" if sides else "a tie at every point"


def _joined(parts: Iterable[str]) -> str:
    return " and ".join(parts)
