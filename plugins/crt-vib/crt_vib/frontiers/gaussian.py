"""The information bottleneck of jointly Gaussian variables, in closed form.

It depends only on the squared correlations of their canonical components, which lie in [0, 1).
Source: Chechik, Globerson, Tishby and Weiss (2005), JMLR 6:165-188, where lambda is 1 less a squared correlation and
b is 1 / beta.

Axes: z variables, y channels of the target, m components, n of them in use.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from crt_vib.frontiers.point import Point


def squared_correlations(joint: Float64[np.ndarray, "z z"], inputs: int) -> Float64[np.ndarray, " m"]:
    """Squared canonical correlations of the first `inputs` variables with the rest, the largest first.

    Raises: ValueError if the covariance is not symmetric and positive definite, or has no target.
    """
    if not 0 < inputs < len(joint):
        raise ValueError(f"expected 1 to {len(joint) - 1} inputs of {len(joint)} variables, got {inputs}")
    if not np.allclose(joint, joint.T) or np.linalg.eigvalsh(joint)[0] <= 0:
        raise ValueError("expected a covariance that is symmetric and positive definite")
    roots = [np.linalg.cholesky(block) for block in (joint[:inputs, :inputs], joint[inputs:, inputs:])]
    across = np.linalg.solve(roots[1], np.linalg.solve(roots[0], joint[:inputs, inputs:]).T)
    squared: Float64[np.ndarray, " m"] = np.linalg.svd(across, compute_uv=False) ** 2
    return squared


def onset(squared: Float64[np.ndarray, " m"]) -> float:
    """The least beta at which the optimum has rate 0."""
    return float(_checked(squared).max())


def optimum(squared: Float64[np.ndarray, " m"], beta: float) -> Point:
    """The point of the frontier where the slope is -beta.

    Raises: ValueError if beta is not above 0.
    """
    if beta <= 0:
        raise ValueError(f"expected a beta above 0, got {beta!r}")
    active = squared[_checked(squared) > beta]
    rate = np.log((1 - beta) * active / (beta * (1 - active))).sum() / 2
    return Point(beta, float(rate), float(rate - np.log(active / beta).sum() / 2))


def breaks(squared: Float64[np.ndarray, " m"]) -> Float64[np.ndarray, " n"]:
    """The rate above which each component is used, the largest first; it is 0 for the first."""
    ordered = -np.sort(-_checked(squared))
    ordered = ordered[ordered > 0]
    odds = np.log(ordered / (1 - ordered))
    rates: Float64[np.ndarray, " n"] = (np.cumsum(odds) - np.arange(1, len(odds) + 1) * odds) / 2
    return rates


def information(squared: Float64[np.ndarray, " m"], rate: float) -> float:
    """The most information about the target at a rate.

    Raises: ValueError if the rate is less than 0.
    """
    if rate < 0:
        raise ValueError(f"expected a rate of at least 0, got {rate!r}")
    used = int((breaks(squared) <= rate).sum())
    active = -np.sort(-squared)[:used]
    if not used:
        return 0.0
    kept, lost = (np.log(values).mean() for values in (active, 1 - active))
    return float(rate - used / 2 * np.logaddexp(kept, 2 * rate / used + lost))


def entropy(covariance: Float64[np.ndarray, "y y"]) -> float:
    """The differential entropy of a Gaussian; it can be less than 0."""
    return float(np.linalg.slogdet(2 * math.pi * math.e * covariance)[1] / 2)


class Channel(NamedTuple):
    """The encoder of a component of variance 1 that reaches the frontier under the prior N(0, 1)."""

    gain: float
    variance: float
    error: float
    """Mean squared error of the target, of variance 1, given the code."""


def channel(squared: float, beta: float) -> Channel:
    """The encoder of a component: gain times the component, plus noise of `variance`."""
    if beta >= squared:
        return Channel(0.0, 1.0, 1.0)
    variance = beta * (1 - squared) / ((1 - beta) * squared)
    return Channel(math.sqrt(1 - variance), variance, (1 - squared) / (1 - beta))


def _checked(squared: Float64[np.ndarray, " m"]) -> Float64[np.ndarray, " m"]:
    if not len(squared) or not ((squared >= 0) & (squared < 1)).all():
        raise ValueError(f"expected squared correlations from 0 up to 1, got {squared!r}")
    return squared
