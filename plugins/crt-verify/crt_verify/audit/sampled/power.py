"""What a G-test can see: the chance that it reports a bias of a given size, and the samples that takes.

A bias of total variation d moves d of the probability from some cells to others. Its non-centrality is
N sum (p' - p)^2 / p, which is least where the cells that gain have about half of the probability:
N d^2 / (a (1 - a)), with a that half, or the largest cell if it has more. The power stated is that of this hardest
bias, by the non-central chi-square distribution; any other of the same size is seen more often.
Source: Cohen (1988), Statistical Power Analysis for the Behavioral Sciences, ch. 7.
"""

from __future__ import annotations

from math import ceil

from scipy.optimize import brentq
from scipy.stats import chi2, ncx2

GOAL = 0.9
"""The power that the samples needed are stated for."""


def noncentrality(bias: float, largest: float) -> float:
    """That of one sample under the hardest bias; `largest` is the probability of the largest cell."""
    half = max(largest, 0.5)
    return bias**2 / (half * (1 - half))


def power(bias: float, samples: int, *, cells: int, largest: float, level: float, boxes: int = 1) -> float:
    """The least chance that a bias is reported; of two boxes that are compared, `samples` is that of each."""
    freedom = cells - 1
    return float(ncx2.sf(chi2.isf(level, freedom), freedom, samples / boxes * noncentrality(bias, largest)))


def needed(bias: float, *, cells: int, largest: float, level: float, boxes: int = 1) -> int:
    """The samples, of each box, with which a bias is reported with probability `GOAL`, in cells like these."""
    freedom = cells - 1
    limit = chi2.isf(level, freedom)
    root: float = brentq(lambda size: ncx2.sf(limit, freedom, size) - GOAL, 1e-9, 10 * limit + 1000)
    return ceil(boxes * root / noncentrality(bias, largest))
