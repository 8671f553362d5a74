"""Ratios over prompts, with intervals; a prompt is one sample, however many ids it gave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import SupportsFloat

import numpy as np
from scipy.stats import t as student

from crtcore.kinds import Measurement

LEVEL = 0.95


def ratio(
    above: Sequence[SupportsFloat], below: Sequence[SupportsFloat], unit: str, level: float = LEVEL
) -> Measurement:
    """The sum of `above` over the sum of `below`, by the t interval of the linearised ratio.

    Source: Cochran (1977), Sampling techniques, section 6.4.
    """
    x, y = np.asarray(above, dtype=float), np.asarray(below, dtype=float)
    value, count = float(x.sum() / y.sum()), len(x)
    spread = float(np.std(x - value * y, ddof=1)) / float(y.mean())
    half = float(student.ppf((1 + level) / 2, count - 1)) * spread / count**0.5
    return Measurement(value, unit, count, value - half, value + half)


def scaled(number: Measurement, factor: float, unit: str) -> Measurement:
    """A number in another unit."""
    low, high = (None if end is None else end * factor for end in (number.low, number.high))
    return Measurement(number.value * factor, unit, number.samples, low, high)
