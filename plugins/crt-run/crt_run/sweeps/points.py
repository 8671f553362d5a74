"""The rows that an experiment reports, as flat objects for result.json and sweep.json."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from crtcore.errors import RunError
from crtcore.kinds import Measurement, Row

TAKEN = ("arm", "grid")
"""Labels that a sweep adds to the points of its runs; no label or number of a run may have these names."""


def flat(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Each row as one object: labels as they are, each number as its mean and interval.

    Raises: RunError if a row's labels or numbers are not valid, or two rows have the same labels.
    """
    names = tuple(rows[0].labels) if rows else ()
    points: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        where = f"point {', '.join(f'{name}={value!r}' for name, value in row.labels.items()) or 'without labels'}: "
        _fits(row, names, where)
        finite(row.numbers, where)
        labels = {name: row.labels[name] for name in names}
        if (place := tuple(labels.values())) in points:
            raise RunError(f"{where}expected unique labels, got those of another point")
        points[place] = labels | {name: _plain(number) for name, number in row.numbers.items()}
    return list(points.values())


def finite(numbers: Mapping[str, Measurement], where: str = "") -> None:
    """Raises: RunError if a number, or an end of its interval, is not finite."""
    for name, number in numbers.items():
        for value in (number.value, number.low, number.high):
            if value is not None and not math.isfinite(value):
                raise RunError(f"{where}number {name!r}: expected a finite value and interval, got {value}")


def parted(point: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A flat point's labels, and its numbers."""
    numbers = {name: value for name, value in point.items() if isinstance(value, dict)}
    return {name: value for name, value in point.items() if name not in numbers}, numbers


def _fits(row: Row, names: Sequence[str], where: str) -> None:
    if set(row.labels) != set(names):
        raise RunError(f"{where}expected the labels of the first point, {', '.join(names) or 'none'}")
    for name in (*row.labels, *row.numbers):
        if name in TAKEN or (name in row.labels and name in row.numbers):
            raise RunError(f"{where}expected unique names other than {' or '.join(TAKEN)}, got {name!r}")
    for name, value in row.labels.items():
        if type(value) not in (str, int, float) or (isinstance(value, float) and not math.isfinite(value)):
            raise RunError(f"{where}label {name!r}: expected text or a finite number, got {value!r}")


def _plain(number: Measurement) -> dict[str, Any]:
    return {
        "mean": number.value,
        "low": number.low,
        "high": number.high,
        "unit": number.unit,
        "samples": number.samples,
    }
