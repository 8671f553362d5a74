"""The exact frontier of a study.

Axes: x cases, y answers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from crt_vib.frontiers.discrete import frontier, mutual_information
from crt_vib.frontiers.envelope import least_distortion
from crt_vib.frontiers.point import Point

BETAS = tuple(round(float(beta), 3) for beta in np.arange(0.005, 1.0, 0.005))
"""Slopes of the lines that bound the frontier."""
STEP = 1e-4
"""Nats over which a slope is computed."""


class Frontier(NamedTuple):
    """The least distortion at each rate."""

    points: tuple[Point, ...]
    entropy: float
    """Entropy of the answer, in nats."""

    def least(self, rate: float) -> float:
        """The least distortion at a rate, or slightly less."""
        return least_distortion(self.points, self.entropy, rate)

    def slope(self, rate: float) -> float:
        """Distortion saved by a nat of rate, at a rate."""
        return (self.least(rate) - self.least(rate + STEP)) / STEP


def exact_frontier(joint: Float64[np.ndarray, "x y"]) -> Frontier:
    """The frontier of a joint distribution.

    Cost: seconds.
    """
    everything = Point(0.0, _entropy(joint.sum(1)), mutual_information(joint))
    return Frontier((everything, *frontier(joint, BETAS)), _entropy(joint.sum(0)))


def _entropy(distribution: Float64[np.ndarray, " x"]) -> float:
    present = distribution[distribution > 0]
    return -float((present * np.log(present)).sum())
