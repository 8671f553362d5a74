"""The exact frontier that a study is held against.

Axes: x cases, y answers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from crt_vib.frontiers.discrete import frontier, mutual
from crt_vib.frontiers.envelope import least_distortion
from crt_vib.frontiers.point import Point

BETAS = tuple(round(float(beta), 3) for beta in np.arange(0.005, 1.0, 0.005))
"""Slopes of the lines that bound the frontier."""
STEP = 1e-4
"""Nats over which a slope is taken."""


class Frontier(NamedTuple):
    """The least distortion at each rate."""

    points: tuple[Point, ...]
    entropy: float
    """Of the answer, in nats."""

    def least(self, rate: float) -> float:
        """The least distortion at a rate, or what is less than it by a little."""
        return least_distortion(self.points, self.entropy, rate)

    def slope(self, rate: float) -> float:
        """What a nat of rate saves of distortion there."""
        return (self.least(rate) - self.least(rate + STEP)) / STEP


def exact(joint: Float64[np.ndarray, "x y"]) -> Frontier:
    """The frontier of a joint law.

    Cost: seconds.
    """
    all_there_is = Point(0.0, _entropy(joint.sum(1)), mutual(joint))
    return Frontier((all_there_is, *frontier(joint, BETAS)), _entropy(joint.sum(0)))


def _entropy(law: Float64[np.ndarray, " x"]) -> float:
    met = law[law > 0]
    return -float((met * np.log(met)).sum())
