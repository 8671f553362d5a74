"""The classical rate-distortion function by the Blahut-Arimoto iteration, with a certified lower bound.

Axes: x values of the source, v values of the reproduction.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

ITERATIONS = 100_000
"""Most iterations."""
TOLERANCE = 1e-9
"""Gap between rate and bound, in nats, at which the iteration stops."""


class CertifiedPoint(NamedTuple):
    """A distortion, a rate that reaches it, and a lower bound on that rate."""

    distortion: float
    rate: float
    """Nats."""
    bound: float
    """Nats."""


def rate_distortion(
    source: Float64[np.ndarray, " x"], distances: Float64[np.ndarray, "x v"], slope: float
) -> CertifiedPoint:
    """The point of R(D) where the slope is -`slope`, in nats a unit of distance.

    Raises: ValueError if `source` is not a distribution or the slope is not above 0.
    Source: Blahut (1972), Computation of channel capacity and rate-distortion functions, theorems 6 and 7.
    """
    if (source < 0).any() or abs(source.sum() - 1) > 1e-9:
        raise ValueError("expected probabilities that sum to 1")
    if slope <= 0:
        raise ValueError(f"expected a slope above 0, got {slope!r}")
    nearest = distances.min(1, keepdims=True)
    near = np.exp(-slope * (distances - nearest))  # x v, at most 1
    marginal = np.full(distances.shape[1], 1 / distances.shape[1])
    for _ in range(ITERATIONS):
        norms = near @ marginal  # x
        growth = (source / norms) @ near  # v
        # An upper bound on the gap between rate and bound, for the marginal before its growth.
        if math.log(growth.max()) - float((marginal * growth) @ np.log(np.maximum(growth, 1e-300))) < TOLERANCE:
            break
        marginal = marginal * growth
    norms = near @ marginal
    channel = near * marginal / norms[:, None]  # x v
    distortion = float(source @ (channel * distances).sum(1))
    free = -slope * distortion - float(source @ (np.log(norms) - slope * nearest[:, 0]))
    output = source @ channel
    rate = free - float(output @ np.log(np.maximum(output, 1e-300) / np.maximum(marginal, 1e-300)))
    return CertifiedPoint(distortion, rate, free - math.log(((source / norms) @ near).max()))


def binary_rate(probability: float, distortion: float) -> float:
    """Rate in nats of a biased coin at a probability of error of `distortion`.

    Raises: ValueError if the distortion is less than 0.
    """
    if distortion < 0:
        raise ValueError(f"expected a distortion of at least 0, got {distortion!r}")
    share = min(probability, 1 - probability)
    return max(0.0, binary_entropy(share) - binary_entropy(distortion)) if distortion < share else 0.0


def binary_entropy(probability: float) -> float:
    """Entropy of a biased coin in nats."""
    return -sum(share * math.log(share) for share in (probability, 1 - probability) if share)


def gaussian_rate(variance: float, distortion: float) -> float:
    """Rate in nats of a Gaussian at a mean squared error.

    Raises: ValueError if the distortion is not above 0.
    """
    if distortion <= 0:
        raise ValueError(f"expected a distortion above 0, got {distortion!r}")
    return max(0.0, math.log(variance / distortion) / 2)


def water_filling(variances: Float64[np.ndarray, " x"], distortion: float) -> float:
    """Rate in nats of independent Gaussians at a sum of mean squared errors.

    The error of each is a common level, or its variance if that is less.
    Raises: ValueError if the distortion is not above 0.
    Source: Cover and Thomas, Elements of Information Theory, theorem 10.3.3.
    """
    if distortion <= 0:
        raise ValueError(f"expected a distortion above 0, got {distortion!r}")
    ordered = np.sort(variances)
    under = np.concatenate([[0.0], np.cumsum(ordered)])  # sums of the smallest variances
    for drowned, variance in enumerate(ordered):
        level = (distortion - under[drowned]) / (len(ordered) - drowned)
        if level <= variance:
            return float(np.log(ordered[drowned:] / level).sum() / 2)
    return 0.0
