"""Bits of codes of text at equal accuracy: an arm beside a curve of control arms, seed by seed.

Usage: python bench/equal_accuracy.py RECORD --curve ARM,ARM,... [--json]

RECORD is what `crt sweep` keeps of an experiment `text-codes`. For each seed the control's `code_bits` are interpolated
linearly in `reconstruction_accuracy` between the two neighbouring arms of the curve; an arm outside the curve has no
value there. A negative difference is a gain. Intervals are of 95 %, Student's t over seeds.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from crt_run.statistics import interval

ACROSS, UP = "reconstruction_accuracy", "code_bits"


class Point(NamedTuple):
    """An arm at one seed."""

    accuracy: float
    bits: float


def points(record: Mapping[str, Any]) -> dict[str, dict[int, Point]]:
    """Arm to seed to its point."""
    arms: dict[str, dict[int, Point]] = {}
    for run in record["runs"]:
        seed, numbers = run["result"]["seed"], run["result"]["numbers"]
        arms.setdefault(run["arm"], {})[seed] = Point(numbers[ACROSS]["value"], numbers[UP]["value"])
    return arms


def at(curve: Sequence[Point], accuracy: float) -> float | None:
    """The bits of a curve at an accuracy; None outside of it."""
    ordered = sorted(curve)
    for low, high in itertools.pairwise(ordered):
        if low.accuracy <= accuracy <= high.accuracy:
            width = high.accuracy - low.accuracy
            share = (accuracy - low.accuracy) / width if width else 0.0
            return low.bits + share * (high.bits - low.bits)
    return None


def differences(arms: Mapping[str, Mapping[int, Point]], arm: str, curve: Sequence[str]) -> dict[int, float | None]:
    """Seed to the bits of an arm less those of the curve at its accuracy."""
    result: dict[int, float | None] = {}
    for seed, own in arms[arm].items():
        control = at([arms[name][seed] for name in curve], own.accuracy)
        result[seed] = None if control is None else own.bits - control
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("record", type=Path)
    parser.add_argument("--curve", required=True, help="the control's arms, separated by commas")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    arms, curve = points(json.loads(given.record.read_bytes())), given.curve.split(",")
    if unknown := [name for name in curve if name not in arms]:
        parser.error(f"--curve: expected arms of {', '.join(arms)}, got {', '.join(unknown)}")
    rows: dict[str, Any] = {}
    for arm in arms:
        if arm in curve:
            continue
        by_seed = differences(arms, arm, curve)
        inside = [value for value in by_seed.values() if value is not None]
        mean = interval(inside, "bits an id of the text") if inside else None
        rows[arm] = {"by_seed": by_seed, "outside": len(by_seed) - len(inside), "mean": mean and mean._asdict()}
    if given.json:
        print(json.dumps({"curve": curve, "arms": rows}, indent=1))
        return
    print(f"bits an id of the text at equal accuracy, less those of {', '.join(curve)}")
    for arm, row in rows.items():
        mean = row["mean"]
        ends = "" if mean is None or mean["low"] is None else f" ({mean['low']:+.4f} to {mean['high']:+.4f})"
        text = "no value" if mean is None else f"{mean['value']:+.4f}{ends}, {mean['n']} seeds"
        print(f"{arm:14}{text}; {row['outside']} outside the curve")


if __name__ == "__main__":
    main()
