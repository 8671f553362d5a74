"""The classical rate-distortion function, by Blahut and Arimoto's iteration, with a certificate.

Axes: x values of the source, v values that stand for them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

ITERATIONS = 100_000
"""At most."""
STILL = 1e-9
"""Gap between rate and bound, in nats, from which on an iteration changes nothing."""


class Certified(NamedTuple):
    """A distortion, a rate that reaches it, and a rate that nothing can go under at it."""

    distortion: float
    rate: float
    """Nats."""
    bound: float
    """Nats."""


def rate_distortion(
    source: Float64[np.ndarray, " x"], distances: Float64[np.ndarray, "x v"], slope: float
) -> Certified:
    """The point of R(D) where the slope is -`slope`, in nats a unit of distance.

    Raises: ValueError if `source` are no probabilities or the slope is not above 0.
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
        # Rate and bound, of the marginal before its growth, are this far apart at most.
        if math.log(growth.max()) - float((marginal * growth) @ np.log(np.maximum(growth, 1e-300))) < STILL:
            break
        marginal = marginal * growth
    norms = near @ marginal
    test = near * marginal / norms[:, None]  # x v
    distortion = float(source @ (test * distances).sum(1))
    free = -slope * distortion - float(source @ (np.log(norms) - slope * nearest[:, 0]))
    output = source @ test
    rate = free - float(output @ np.log(np.maximum(output, 1e-300) / np.maximum(marginal, 1e-300)))
    return Certified(distortion, rate, free - math.log(((source / norms) @ near).max()))


def binary_rate(probability: float, distortion: float) -> float:
    """Nats of a biased coin of which a share `distortion` may come out wrong."""
    share = min(probability, 1 - probability)
    return max(0.0, binary_entropy(share) - binary_entropy(distortion)) if distortion < share else 0.0


def binary_entropy(probability: float) -> float:
    """Nats of a biased coin."""
    return -sum(share * math.log(share) for share in (probability, 1 - probability) if share)


def gaussian_rate(variance: float, distortion: float) -> float:
    """Nats of a Gaussian at a mean squared error."""
    return max(0.0, math.log(variance / distortion) / 2)


def water_filling(variances: Float64[np.ndarray, " x"], distortion: float) -> float:
    """Nats of independent Gaussians at a sum of mean squared errors.

    The error of each is one level, or its variance where that is less.
    Raises: ValueError if the distortion is not above 0.
    Source: Cover and Thomas, Elements of Information Theory, theorem 10.3.3.
    """
    if distortion <= 0:
        raise ValueError(f"expected a distortion above 0, got {distortion!r}")
    ordered = np.sort(variances)
    under = np.concatenate([[0.0], np.cumsum(ordered)])  # what the ones that drown first add up to
    for drowned, variance in enumerate(ordered):
        level = (distortion - under[drowned]) / (len(ordered) - drowned)
        if level <= variance:
            return float(np.log(ordered[drowned:] / level).sum() / 2)
    return 0.0
