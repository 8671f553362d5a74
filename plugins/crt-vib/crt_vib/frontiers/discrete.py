"""The information bottleneck of discrete variables, by the Blahut-Arimoto iteration and annealing.

Axes: x values of the input, y of the target, t of the bottleneck (as many as of the input).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float64

from crt_vib.frontiers.point import Point

ITERATIONS = 50_000
"""Most iterations for one beta; near the onset it takes 20,000."""
TOLERANCE = 1e-12
"""Largest change of a probability at which the iteration stops."""
BLUR = 1e-3
"""Share of the first encoder that is uniform, because a probability of 0 stays 0."""
_LEAST = 1e-300


def frontier(joint: Float64[np.ndarray, "x y"], betas: Iterable[float], *, iterations: int = ITERATIONS) -> list[Point]:
    """The frontier's points of slopes -beta, in increasing order of beta; after few `iterations`, codes on the way.

    The problem is not convex: each beta starts from the solution of the one before, the first near T = X. Where rate 0
    is better than that solution, the point has rate 0.
    Raises: ValueError if `joint` is not a distribution, or a beta is not above 0.
    Source: Tishby, Pereira and Bialek (1999), physics/0004057, section 3; b is 1 / beta.
    Cost: for each beta up to `iterations` products of x by y and y by x; a second near the onset for 16 values.
    """
    return list(_annealed(_checked(joint), sorted(betas), iterations))


def _annealed(joint: Float64[np.ndarray, "x y"], betas: list[float], iterations: int) -> Iterator[Point]:
    size = len(joint)
    encoder = (1 - BLUR) * np.eye(size) + BLUR / size
    for beta in betas:
        if beta <= 0:
            raise ValueError(f"expected a beta above 0, got {beta!r}")
        encoder = _solved(joint, encoder, 1 / beta, iterations)
        rate, kept = informations(joint, encoder)
        yield Point(beta, rate, kept) if kept > beta * rate else Point(beta, 0.0, 0.0)


def _solved(
    joint: Float64[np.ndarray, "x y"], encoder: Float64[np.ndarray, "x t"], b: float, iterations: int
) -> Float64[np.ndarray, "x t"]:
    """The encoder to which the iteration converges."""
    conditional = joint / joint.sum(1, keepdims=True)  # x y
    for _ in range(iterations):
        weights = joint.sum(1) @ encoder  # t
        targets = encoder.T @ joint / np.maximum(weights, _LEAST)[:, None]  # t y
        # p(y|x) ln p(y|x) is the same for all t and goes with the norm.
        logits = np.log(np.maximum(weights, _LEAST)) + b * conditional @ np.log(np.maximum(targets, _LEAST)).T
        logits -= logits.max(1, keepdims=True)
        after = np.exp(logits)
        after /= after.sum(1, keepdims=True)
        change = np.abs(after - encoder).max()
        encoder = after
        if change < TOLERANCE:
            break
    return encoder


def informations(joint: Float64[np.ndarray, "x y"], encoder: Float64[np.ndarray, "x t"]) -> tuple[float, float]:
    """Mutual information of the code with the input and with the target, in nats."""
    return mutual_information(joint.sum(1)[:, None] * encoder), mutual_information(encoder.T @ joint)


def mutual_information(joint: Float64[np.ndarray, "a b"]) -> float:
    """The mutual information of two variables, in nats."""
    present = joint > 0
    a, b = (np.broadcast_to(joint.sum(axis, keepdims=True), joint.shape)[present] for axis in (1, 0))
    return float((joint[present] * (np.log(joint[present]) - np.log(a) - np.log(b))).sum())  # a * b may be 0: underflow


def _checked(joint: Float64[np.ndarray, "x y"]) -> Float64[np.ndarray, "x y"]:
    if (joint < 0).any() or abs(joint.sum() - 1) > 1e-9 or not joint.sum(1).all():
        raise ValueError("expected probabilities that sum to 1, not all 0 for any value of the input")
    return joint
