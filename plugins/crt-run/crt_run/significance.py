"""How likely differences as large as those seen are by chance, and the correction for the number of tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from crtcore.kinds import Measurement

LEVEL = 0.05
"""The most that a corrected probability may be."""
ROUNDING = 1e-12
"""What rounding makes of equal numbers, as a share of them: such a difference is none."""


class Discordant(NamedTuple):
    """Samples that one arm alone has right, over all shared seeds, and how likely such a split is by chance."""

    gained: int
    """Right in the arm, wrong in the other."""
    lost: int
    """Wrong in the arm, right in the other."""
    p: float


def paired_p(values: Mapping[int, float], others: Mapping[int, float]) -> float | None:
    """The two-sided probability of Student's t for differences paired by seed; None if fewer than two are shared.

    It is below 0.05 where the interval of `crt_run.statistics.paired` excludes 0. If all differences are the same it is
    0, or 1 if they are 0, but for rounding.
    """
    from scipy.stats import t as student

    gaps = [value - others[seed] for seed, value in values.items() if seed in others]
    count = len(gaps)
    if count < 2:
        return None
    mean = math.fsum(gaps) / count
    deviation = math.sqrt(math.fsum((gap - mean) ** 2 for gap in gaps) / (count - 1))
    rounding = ROUNDING * max(map(abs, (*values.values(), *others.values())))
    if deviation <= rounding:
        return float(abs(mean) <= rounding)
    return float(2 * student.sf(abs(mean) * math.sqrt(count) / deviation, count - 1))


def mcnemar(values: Mapping[int, Sequence[float]], others: Mapping[int, Sequence[float]]) -> Discordant | None:
    """The exact test of McNemar on samples that two arms have in common, pooled over shared seeds.

    It takes the pairs for independent, so it speaks of these trainings; what other seeds would change is in the t
    interval alone. None if no seed is shared, samples differ in number, or an outcome is neither 0 nor 1.
    Source: McNemar (1947), Psychometrika 12, 153.
    """
    from scipy.stats import binomtest

    pairs = [(value, others[seed]) for seed, value in values.items() if seed in others]
    if not pairs or any(len(mine) != len(theirs) for mine, theirs in pairs):
        return None
    both = [pair for mine, theirs in pairs for pair in zip(mine, theirs, strict=True)]
    if any(each not in (0, 1) for pair in both for each in pair):
        return None
    gained, lost = (sum(mine == one and theirs == 1 - one for mine, theirs in both) for one in (1, 0))
    return Discordant(gained, lost, float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0)


def ratio_p(gain: Measurement, level: float) -> float:
    """The two-sided probability of Student's t for the logarithm of a ratio, by the interval of `double_ratio`.

    It is below 1 - `level` where the interval excludes 1.
    Raises: ValueError if the ratio has no interval.
    """
    from scipy.stats import t as student

    if gain.low is None or gain.high is None:
        raise ValueError(f"expected a ratio with an interval, got {gain}")
    half, distance = math.log(gain.high / gain.low) / 2, abs(math.log(gain.value))
    if half == 0:
        return float(distance == 0)
    return float(2 * student.sf(distance / half * student.ppf((1 + level) / 2, gain.n - 1), gain.n - 1))


def holm(probabilities: Sequence[float]) -> list[float]:
    """Probabilities corrected for their number, so that one false finding among all is at most as likely as stated.

    Source: Holm (1979), Scand. J. Statist. 6, 65.
    """
    count, highest = len(probabilities), 0.0
    corrected = [0.0] * count
    for rank, place in enumerate(sorted(range(count), key=lambda place: probabilities[place])):
        highest = max(highest, min((count - rank) * probabilities[place], 1.0))
        corrected[place] = highest
    return corrected
