"""Intervals: a mean by Student's t, over samples or seeds, and a difference that is paired by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from scipy.stats import t as student
from torch import Tensor

from crtcore.kinds import Measurement

CONFIDENCE = 0.95


def averaged(values: Float[Tensor, " b"], unit: str) -> Measurement:
    """Mean and t interval over samples; no interval from one."""
    mean, count = float(values.mean()), len(values)
    if count < 2:
        return Measurement(mean, unit, count)
    half = float(student.ppf((1 + CONFIDENCE) / 2, count - 1) * values.std() / math.sqrt(count))
    return Measurement(mean, unit, count, mean - half, mean + half)


def interval(values: list[float]) -> dict[str, Any]:
    """Mean and t interval over seeds; no interval from one."""
    count = len(values)
    mean = math.fsum(values) / count
    if count < 2:
        return {"mean": mean, "low": None, "high": None, "seeds": count}
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    half = float(student.ppf((1 + CONFIDENCE) / 2, count - 1)) * spread / math.sqrt(count)
    return {"mean": mean, "low": mean - half, "high": mean + half, "seeds": count}


def paired(values: Mapping[int, float], others: Mapping[int, float]) -> dict[str, Any] | None:
    """Mean and t interval of the differences over the seeds both have; None if they share none."""
    gaps = [value - others[seed] for seed, value in values.items() if seed in others]
    if not gaps:
        return None
    found = interval(gaps)
    same = sum((gap < 0) == (found["mean"] < 0) and gap != 0 for gap in gaps)
    return {**found, "same_sign": same}
