"""Numbers as JSON: the one form of `result.json`, `sweep.json` and every `--json` output, its writer and its reader."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from crtcore.errors import RunError
from crtcore.kinds import Measurement, Row


def written(number: Measurement) -> dict[str, Any]:
    """A number as `value`, `unit`, `n` and, if it has an interval, `low` and `high`."""
    return {name: value for name, value in number._asdict().items() if value is not None}


def number(values: Mapping[str, Any]) -> Measurement:
    """The number that `written` wrote; what else is beside it, such as a difference, is left out."""
    return Measurement(values["value"], values["unit"], values["n"], values.get("low"), values.get("high"))


def written_all(numbers: Mapping[str, Measurement], where: str = "") -> dict[str, dict[str, Any]]:
    """Numbers by name.

    Raises: RunError if one, or an end of its interval, is not finite; `where` begins the message.
    """
    for name, each in numbers.items():
        for value in (each.value, each.low, each.high):
            if value is not None and not math.isfinite(value):
                raise RunError(f"{where}number {name!r}: expected a finite value and interval, got {value}")
    return {name: written(each) for name, each in numbers.items()}


def written_rows(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Each row of a table as its `labels`, in the order of the first row, and its `numbers`.

    Raises: RunError if labels or numbers are not valid, or two rows have the same labels.
    """
    names = tuple(rows[0].labels) if rows else ()
    points: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        where = f"point {', '.join(f'{name}={value!r}' for name, value in row.labels.items()) or 'without labels'}: "
        _fits(row, names, where)
        labels = {name: row.labels[name] for name in names}
        if (place := tuple(labels.values())) in points:
            raise RunError(f"{where}expected unique labels, got those of another point")
        points[place] = {"labels": labels, "numbers": written_all(row.numbers, where)}
    return list(points.values())


def _fits(row: Row, names: Sequence[str], where: str) -> None:
    if set(row.labels) != set(names):
        raise RunError(f"{where}expected the labels of the first point, {', '.join(names) or 'none'}")
    for name, value in row.labels.items():
        if type(value) not in (str, int, float) or (isinstance(value, float) and not math.isfinite(value)):
            raise RunError(f"{where}label {name!r}: expected text or a finite number, got {value!r}")
