"""A mean over samples as a measurement."""

from __future__ import annotations

import math

from jaxtyping import Float
from scipy.stats import t as student
from torch import Tensor

from crtcore.kinds import Measurement


def averaged(values: Float[Tensor, " b"], unit: str) -> Measurement:
    """Mean and 95 % t interval; no interval from one sample."""
    mean = float(values.mean())
    if len(values) < 2:
        return Measurement(mean, unit, len(values))
    half = float(student.ppf(0.975, len(values) - 1) * values.std() / math.sqrt(len(values)))
    return Measurement(mean, unit, len(values), mean - half, mean + half)
