"""The compute-optimal frontier, its power law, and the compute that one frontier saves over another.

Takes and returns plain numbers; a smaller value is better throughout.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.integrate import trapezoid
from scipy.optimize import least_squares

FEWEST = 4
"""The fewest spots that a power law of three parameters is fitted to."""
STEEPEST = -5.0
"""The lowest exponent of a fit."""


class Spot(NamedTuple):
    """A value, and the FLOPs that it took."""

    flops: float
    value: float


class PowerLaw(NamedTuple):
    """`limit + e^scale flops^exponent`.

    Source: Ramanujan et al. (2024), arXiv:2412.16326, where these are L_min, lambda and alpha.
    """

    limit: float
    scale: float
    exponent: float


class Saving(NamedTuple):
    """One frontier against another, over the values that both reach."""

    ratio: float
    """FLOPs of the other over FLOPs of this one: the geometric mean over those values."""
    share: float
    """Share of this frontier's range of values that both reach."""


def frontier(spots: Iterable[Spot]) -> list[Spot]:
    """The spots with a smaller value than every cheaper one, in order of cost."""
    best, optimal = math.inf, []
    for spot in sorted(spots):
        if spot.value < best:
            best = spot.value
            optimal.append(spot)
    return optimal


def fitted(spots: Sequence[Spot]) -> PowerLaw | None:
    """Fits the power law of a frontier by least squares of the relative error.

    The limit is between 0 and the smallest value, the exponent between -5 and 0. None if there are fewer than four
    spots, or a value is not positive.
    """
    if len(spots) < FEWEST or any(spot.value <= 0 for spot in spots):
        return None
    cost, value = np.log([spot.flops for spot in spots]), np.array([spot.value for spot in spots])
    middle, lowest = float(cost.mean()), float(value.min())

    def residuals(numbers: Any) -> Any:
        share, scale, exponent = numbers
        return np.log(share * lowest + np.exp(scale + exponent * (cost - middle))) - np.log(value)

    def slopes(numbers: Any) -> Any:
        share, scale, exponent = numbers
        above = np.exp(scale + exponent * (cost - middle))
        of_each = np.stack([np.full_like(above, lowest), above, above * (cost - middle)], 1)
        return of_each / (share * lowest + above)[:, None]

    fits = []
    for share in (0.1, 0.9):  # the error has a long valley along the limit: start on either side of it
        slope, height = np.polyfit(cost - middle, np.log(value - share * lowest * (1 - 1e-9)), 1)
        start = (share, height, min(max(slope, STEEPEST), 0.0))
        bounds = ((0.0, -np.inf, STEEPEST), (1.0, np.inf, 0.0))
        fits.append(least_squares(residuals, start, slopes, bounds=bounds, x_scale=(0.1, 1.0, 0.1), max_nfev=400))
    share, scale, exponent = min(fits, key=lambda each: each.cost).x
    return PowerLaw(float(share * lowest), float(scale - exponent * middle), float(exponent))


def saving(spots: Sequence[Spot], others: Sequence[Spot]) -> Saving | None:
    """The compute that a frontier saves over another one; None if no range of values is reached by both.

    The logarithm of the FLOPs is interpolated linearly in the value, and never extrapolated. Swapping the frontiers
    inverts the ratio.
    """
    low = max(spots[-1].value, others[-1].value)
    high = min(spots[0].value, others[0].value)
    if not low < high:
        return None
    knots = {spot.value for spot in (*spots, *others) if low < spot.value < high}
    values = np.array(sorted({low, high, *knots}))
    gap = _costs(others, values) - _costs(spots, values)
    ratio = math.exp(float(trapezoid(gap, values)) / (high - low))
    return Saving(ratio, (high - low) / (spots[0].value - spots[-1].value))


def _costs(spots: Sequence[Spot], values: Any) -> Any:
    """The logarithm of the FLOPs at which a frontier reaches each value."""
    rising = spots[::-1]
    return np.interp(values, [spot.value for spot in rising], [math.log(spot.flops) for spot in rising])
