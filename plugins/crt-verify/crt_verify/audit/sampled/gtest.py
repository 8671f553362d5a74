"""G-tests, with p-values from samples of the null hypothesis: valid for cells of any size.

p is (1 + number of null samples at least as far off) / (1 + null samples), which is at most `level` with a probability
of at most `level`, whatever the cells.
Source: Davison and Hinkley (1997), Bootstrap Methods and their Application, eq. 4.11; for two samples the null is
that of tables with the same margins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import rel_entr

CHUNK = 2_000_000
"""Counts that are drawn at a time."""


def statistic(counts: Any, expected: Any) -> Any:
    """G, 2 sum O ln(O / E), over the last axis."""
    return 2 * rel_entr(counts, expected).sum(-1)


def two_sample(counts: Any, totals: Any) -> Any:
    """G of a table of two samples, [..., cells]: the first sample's counts, and those of both."""
    size, both = counts.sum(-1, keepdims=True), totals.sum()
    return statistic(counts, totals * size / both) + statistic(totals - counts, totals * (both - size) / both)


def null_samples(level: float) -> int:
    """Samples of the null hypothesis: with ten of them as far off as what came, p is just the level."""
    return int(np.ceil(10 / level)) - 1


def one_sample_p(counts: Any, probabilities: Any, level: float, generator: np.random.Generator) -> tuple[float, float]:
    """The p-value of counts under known probabilities, and the mean total variation of the null's samples to them."""
    size = int(counts.sum())
    return _p(
        lambda number: generator.multinomial(size, probabilities, size=number),
        lambda drawn: statistic(drawn, size * probabilities),
        lambda drawn: np.abs(drawn / size - probabilities).sum(-1) / 2,
        counts,
        level,
    )


def two_sample_p(first: Any, second: Any, level: float, generator: np.random.Generator) -> tuple[float, float]:
    """The p-value of two samples of one law, and the mean total variation between two such samples."""
    totals, size, other = first + second, int(first.sum()), int(second.sum())
    return _p(
        lambda number: generator.multivariate_hypergeometric(totals, size, size=number, method="marginals"),
        lambda drawn: two_sample(drawn, totals),
        lambda drawn: np.abs(drawn / size - (totals - drawn) / other).sum(-1) / 2,
        first,
        level,
    )


def _p(
    draw: Callable[[int], Any],
    far: Callable[[Any], Any],
    distance: Callable[[Any], Any],
    counts: Any,
    level: float,
) -> tuple[float, float]:
    number = null_samples(level)
    own = float(far(counts)) * (1 - 1e-12)  # equal tables may differ by rounding
    further, apart, left = 0, 0.0, number
    while left:
        part = min(left, max(CHUNK // counts.size, 1))
        drawn = draw(part)
        further += int((far(drawn) >= own).sum())
        apart += float(distance(drawn).sum())
        left -= part
    return (1 + further) / (1 + number), apart / number
