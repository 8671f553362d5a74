"""Intervals: a mean by Student's t, over samples or seeds; a difference, paired by seed or by seed and sample.

Axes: s seeds, n samples, d draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from crtcore.kinds import Measurement

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

CONFIDENCE = 0.95
DRAWS = 2000
"""Draws of a bootstrap."""


def averaged(values: Float[Tensor, " b"], unit: str) -> Measurement:
    """Mean and t interval over samples; no interval from one."""
    from scipy.stats import t as student

    mean, count = float(values.mean()), len(values)
    if count < 2:
        return Measurement(mean, unit, count)
    half = float(student.ppf((1 + CONFIDENCE) / 2, count - 1) * values.std() / math.sqrt(count))
    return Measurement(mean, unit, count, mean - half, mean + half)


def interval(values: list[float]) -> dict[str, Any]:
    """Mean and t interval over seeds; no interval from one."""
    from scipy.stats import t as student

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


def two_level(values: Mapping[int, Sequence[float]], others: Mapping[int, Sequence[float]]) -> dict[str, Any] | None:
    """The bootstrap interval of a mean difference, drawn anew over seeds and over the samples that both have values of.

    Of few seeds it is too narrow, as they are drawn from among themselves; the t interval over seeds is not. None if
    fewer than two seeds are shared, or samples differ in number.
    Source: Davison and Hinkley (1997), Bootstrap Methods and their Application, section 3.8.
    """
    import numpy as np

    pairs = [(value, others[seed]) for seed, value in values.items() if seed in others]
    if len(pairs) < 2 or len({len(each) for pair in pairs for each in pair}) != 1:
        return None
    gaps = np.asarray([mine for mine, _ in pairs], float) - np.asarray([theirs for _, theirs in pairs], float)  # s n
    draws, (seeds, samples) = np.random.default_rng(0), gaps.shape
    by_seed = draws.multinomial(seeds, np.full(seeds, 1 / seeds), DRAWS) / seeds  # d s
    by_sample = draws.multinomial(samples, np.full(samples, 1 / samples), DRAWS) / samples  # d n
    means = np.einsum("ds,sn,dn->d", by_seed, gaps, by_sample, optimize=True)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return {"low": float(low), "high": float(high), "seeds": seeds, "samples": samples}
