"""What a run or sweep comes to, in plain sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from crt_run.present.tables import change, crosses, label, short


def sentences(values: Mapping[str, Any]) -> list[str]:
    """The notes of a run, or of each run of a sweep, and who is ahead where."""
    told = list(values.get("notes", ()))
    for run in values.get("runs", ()):
        if result := run["result"]:
            told += [f"{run['group']}, seed {result['seed']}: {note}" for note in result.get("notes", ())]
    return told + [gap(each) for each in values.get("gaps", ())]


def gap(found: Mapping[str, Any]) -> str:
    """Which of two curves is lower, and where; a tie is told as one."""
    number, across = label(found["number"]), label(found["across"])
    where = f" at {', '.join(found['grid'])}" if found["grid"] else ""
    pair = f"{found['arm']} against {found['against']}{where}"
    if found["low"] is None:
        return f"{pair}: the curves have no {across} in common, so nothing is said of {number}"
    span = f"{across} {short(found['low'])} to {short(found['high'])}"
    difference = found["difference"]
    if difference is None:
        return f"{pair}: no seed has both curves, so nothing is said of {number}"
    if difference["low"] is None:
        return (
            f"{pair}, {span}: {number} {change(difference)} in the mean; one seed has no interval, so nobody is ahead"
        )
    if crosses(difference):
        verdict = f"a tie in the mean, {number} {change(difference)}"
    else:
        verdict = f"{number} {'lower' if difference['mean'] < 0 else 'higher'} in the mean, {change(difference)}"
    return f"{pair}, {span}: {verdict}; {_places(found, across)}"


def _places(found: Mapping[str, Any], across: str) -> str:
    """The stretches where one is ahead, place by place."""
    told = [
        f"{side} where {across} is {_joined(f'{short(low)} to {short(high)}' for low, high in found[side])}"
        for side in ("lower", "higher")
        if found[side]
    ]
    return f"{' and '.join(told)}, a tie elsewhere" if told else "place by place a tie everywhere"


def _joined(parts: Iterable[str]) -> str:
    return " and ".join(parts)
