"""The best codes of a model's own distribution that Blahut-Arimoto reaches, over held-out contexts.

Axes: x contexts, c classes of the next id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float64

from crt_vib.frontiers.discrete import frontier, mutual_information


def best_codes(
    chances: Float64[np.ndarray, "x c"], betas: Iterable[float], iterations: int
) -> list[tuple[float, float]]:
    """Rate and distortion in nats of codes of equally likely contexts, by increasing rate, with both ends.

    The ends are no code, and the context itself. Each point is reached, so it bounds the least distortion from above;
    the problem is not convex, so a better code may exist. No code at all is below the entropy less the rate.
    Source: Tishby, Pereira and Bialek (1999), physics/0004057, section 3.
    Cost: see `frontier`, with as many codes as contexts.
    """
    joint = chances / chances.sum(1, keepdims=True) / len(chances)
    shares = joint.sum(0)
    entropy = -float((shares[shares > 0] * np.log(shares[shares > 0])).sum())
    reached = [(point.rate, entropy - point.information) for point in frontier(joint, betas, iterations=iterations)]
    ends = [(0.0, entropy), (float(np.log(len(joint))), entropy - mutual_information(joint))]
    return _hull(sorted({*reached, *ends}))


def least(points: Sequence[tuple[float, float]], rate: float) -> float:
    """The distortion at a rate by sharing between the codes beside it."""
    rates, distortions = zip(*points, strict=True)
    return float(np.interp(rate, rates, distortions))


def slope(points: Sequence[tuple[float, float]], rate: float) -> float:
    """Nats of distortion for each nat of rate, on the segment that `least` takes; 0 beyond both ends."""
    rates, distortions = zip(*points, strict=True)
    if not rates[0] <= rate < rates[-1]:
        return 0.0
    right = int(np.searchsorted(rates, rate, side="right"))
    return float((distortions[right] - distortions[right - 1]) / (rates[right] - rates[right - 1]))


def _hull(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points on the lower convex hull, by increasing rate: sharing between two codes reaches the line of both."""
    kept: list[tuple[float, float]] = []
    for rate, distortion in points:
        while len(kept) > 1:
            (a, high), (b, low) = kept[-2:]
            if (low - high) * (rate - a) < (distortion - high) * (b - a):
                break
            kept.pop()
        kept.append((rate, distortion))
    return kept
