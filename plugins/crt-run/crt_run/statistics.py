"""Intervals of 95 %: Student's t for means, paired differences and ratios; bootstraps for the rest.

scipy's `ttest_rel` and `bootstrap` round otherwise and draw otherwise; kept results hold the bits of these.
Axes: s seeds, n samples, d draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, SupportsFloat

from crt_run.runs.numbers import written
from crtcore.kinds import Measurement

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

CONFIDENCE = 0.95
DRAWS = 2000
"""Draws of the two-level bootstrap."""
ENOUGH = 0.95
"""The least share of a bootstrap's draws that must have a value for an interval."""
LARGEST = 700.0
"""Logarithm of the largest end of an interval of a ratio, which would be infinite for two samples at a high level."""
ROUNDING = 1e-6
"""What rounding takes from a squared distance, as a share of its terms: torch-fidelity's stated precision of a FID."""


def averaged(values: Float[Tensor, " b"], unit: str) -> Measurement:
    """Mean and t interval over samples; one sample has no interval."""
    count = len(values)
    return mean_of(float(values.mean()), float(values.std()) if count > 1 else 0.0, count, unit)


def mean_of(mean: float, deviation: float, count: int, unit: str) -> Measurement:
    """A mean and its t interval, from the mean and the standard deviation of `count` samples."""
    if count < 2:
        return Measurement(mean, unit, count)
    half = float(_quantile(count) * deviation / math.sqrt(count))
    return Measurement(mean, unit, count, mean - half, mean + half)


def squared_distance(value: float, terms: float) -> float:
    """A squared distance of distributions, computed as a difference of terms whose sum is `terms`.

    It is not negative; where rounding alone has made it so, it is 0.
    Raises: ValueError if it is further below 0 than rounding explains.
    """
    if value < -ROUNDING * terms:
        raise ValueError(f"expected a squared distance of at least 0, got {value}; a covariance is not valid")
    return max(value, 0.0)


def interval(values: Sequence[float], unit: str) -> Measurement:
    """Mean and t interval over seeds; one seed has no interval."""
    count = len(values)
    mean = math.fsum(values) / count
    if count < 2:
        return Measurement(mean, unit, count)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    half = float(_quantile(count)) * deviation / math.sqrt(count)
    return Measurement(mean, unit, count, mean - half, mean + half)


def paired(values: Mapping[int, float], others: Mapping[int, float], unit: str) -> dict[str, Any] | None:
    """Mean and t interval of the differences over shared seeds, as JSON; None if no seed is shared.

    `same_sign` counts the seeds whose difference has the sign of the mean.
    """
    differences = [value - others[seed] for seed, value in values.items() if seed in others]
    if not differences:
        return None
    mean = interval(differences, unit)
    same = sum((each < 0) == (mean.value < 0) and each != 0 for each in differences)
    return {**written(mean), "same_sign": same}


def ratio(
    above: Sequence[SupportsFloat], below: Sequence[SupportsFloat], unit: str, level: float = CONFIDENCE
) -> Measurement:
    """The sum of `above` over the sum of `below`, with the t interval of the linearised ratio.

    One sample has no interval.
    Raises: ValueError if the sum of `below` is 0.
    Source: Cochran (1977), Sampling techniques, section 6.4.
    """
    import numpy as np

    x, y = np.asarray(above, dtype=float), np.asarray(below, dtype=float)
    if not y.sum():
        raise ValueError(f"expected a sum other than 0 to divide by, got {y.sum()} of {len(y)} values")
    value, count = float(x.sum() / y.sum()), len(x)
    if count < 2:
        return Measurement(value, unit, count)
    deviation = float(np.std(x - value * y, ddof=1)) / float(y.mean())
    half = float(_quantile(count, level)) * deviation / count**0.5
    return Measurement(value, unit, count, value - half, value + half)


def double_ratio(
    ours: tuple[Sequence[SupportsFloat], Sequence[SupportsFloat]],
    theirs: tuple[Sequence[SupportsFloat], Sequence[SupportsFloat]],
    unit: str,
    level: float = CONFIDENCE,
) -> Measurement:
    """The ratio of sums of one pair of lists over that of another on the same samples, with a paired t interval.

    The interval is that of the linearised logarithm, so that what varies between samples alike in both cancels; its
    ends are finite. One sample has no interval.
    Raises: ValueError if a sum is not above 0.
    Source: Cochran (1977), Sampling techniques, section 6.19.
    """
    import numpy as np

    parts, logarithm = [], 0.0
    for sign, (above, below) in ((1, ours), (-1, theirs)):
        x, y = np.asarray(above, dtype=float), np.asarray(below, dtype=float)
        if x.sum() <= 0 or y.sum() <= 0:
            raise ValueError(f"expected sums above 0, got {x.sum()} and {y.sum()}")
        parts.append(sign * (x / x.mean() - y / y.mean()))
        logarithm += sign * math.log(x.sum() / y.sum())
    count = len(parts[0])
    if count < 2:
        return Measurement(math.exp(logarithm), unit, count)
    half = float(_quantile(count, level)) * float(np.std(parts[0] + parts[1], ddof=1)) / count**0.5
    low, high = (math.exp(min(max(end, -LARGEST), LARGEST)) for end in (logarithm - half, logarithm + half))
    return Measurement(math.exp(logarithm), unit, count, low, high)


def scaled(number: Measurement, factor: float, unit: str) -> Measurement:
    """A measurement in another unit."""
    low, high = (None if end is None else end * factor for end in (number.low, number.high))
    return Measurement(number.value * factor, unit, number.n, low, high)


def resampled(value: float, draws: Sequence[float | None], unit: str, *, n: int) -> Measurement:
    """A number with the middle 95 % of its bootstrap draws; no interval if over 5 % of the draws are None."""
    import numpy as np

    valid = [draw for draw in draws if draw is not None]
    if len(valid) < ENOUGH * len(draws):
        return Measurement(value, unit, n)
    low, high = np.quantile(valid, (0.025, 0.975))
    return Measurement(value, unit, n, float(low), float(high))


def two_level(
    values: Mapping[int, Sequence[float]], others: Mapping[int, Sequence[float]], unit: str
) -> Measurement | None:
    """A mean difference and its bootstrap interval, over shared seeds and over the samples of both; `n` is of samples.

    With few seeds it is too narrow, as seeds are drawn from among themselves; the t interval over seeds is not. None if
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
    return Measurement(float(gaps.mean()), unit, samples, float(low), float(high))


def _quantile(count: int, level: float = CONFIDENCE) -> Any:
    """The quantile of Student's t that bounds the middle `level` of a mean of `count` values."""
    from scipy.stats import t as student

    return student.ppf((1 + level) / 2, count - 1)
