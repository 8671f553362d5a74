"""Bits of codes of text at equal accuracy: an arm beside a curve of control arms, seed by seed.

Usage: python bench/equal_accuracy.py RECORD --curve ARM,ARM,... [--json]

RECORD is what `crt sweep` keeps of an experiment `text-codes`. For each seed the control's `code_bits` are interpolated
linearly in `reconstruction_accuracy` between the two neighbouring arms of the curve; an arm outside the curve has no
value there. A negative difference is a gain. Intervals are of 95 %, Student's t over seeds.
"""

from __future__ import annotations

import argparse
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
    found: dict[str, dict[int, Point]] = {}
    for run in record["runs"]:
        numbers = run["numbers"]
        found.setdefault(run["arm"], {})[run["seed"]] = Point(numbers[ACROSS]["value"], numbers[UP]["value"])
    return found


def at(curve: Sequence[Point], accuracy: float) -> float | None:
    """The bits of a curve at an accuracy; None outside of it."""
    ordered = sorted(curve)
    for low, high in zip(ordered, ordered[1:], strict=False):
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
