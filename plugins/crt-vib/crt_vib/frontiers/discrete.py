"""The information bottleneck of discrete variables, by Blahut and Arimoto's iteration and annealing.

Axes: x values of the input, y of the target, t of the bottleneck, of which there are as many as of the input.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float64

from crt_vib.frontiers.point import Point

ITERATIONS = 50_000
"""At one beta; near the onset 20,000 are met."""
STILL = 1e-12
"""Largest change of a probability from which on an iteration changes nothing."""
BLUR = 1e-3
"""Share of the first encoder that is uniform, as a probability of 0 stays 0 for ever."""
_LEAST = 1e-300


def frontier(joint: Float64[np.ndarray, "x y"], betas: Iterable[float]) -> list[Point]:
    """The frontier's points of slopes -beta, from the smallest beta up.

    The problem is not convex: the solution is carried from each beta to the next, beginning near T = X; where nothing
    at all is worth more than what was carried, the point is that of nothing, rate 0.
    Raises: ValueError if `joint` are no probabilities, or a beta is not above 0.
    Source: Tishby, Pereira and Bialek (1999), physics/0004057, section 3; b is 1 / beta.
    Cost: up to `ITERATIONS` products of x by y and y by x a beta, a second near the onset for 16 values.
    """
    return list(_annealed(_checked(joint), sorted(betas)))


def _annealed(joint: Float64[np.ndarray, "x y"], betas: list[float]) -> Iterator[Point]:
    size = len(joint)
    encoder = (1 - BLUR) * np.eye(size) + BLUR / size
    for beta in betas:
        if beta <= 0:
            raise ValueError(f"expected a beta above 0, got {beta!r}")
        encoder = _solved(joint, encoder, 1 / beta)
        rate, kept = informations(joint, encoder)
        yield Point(beta, rate, kept) if kept > beta * rate else Point(beta, 0.0, 0.0)


def _solved(
    joint: Float64[np.ndarray, "x y"], encoder: Float64[np.ndarray, "x t"], b: float
) -> Float64[np.ndarray, "x t"]:
    """The encoder at which the iteration comes to rest."""
    given = joint / joint.sum(1, keepdims=True)  # x y
    for _ in range(ITERATIONS):
        weights = joint.sum(1) @ encoder  # t
        targets = encoder.T @ joint / np.maximum(weights, _LEAST)[:, None]  # t y
        # p(y|x) ln p(y|x) is the same for all t and goes with the norm.
        logits = np.log(np.maximum(weights, _LEAST)) + b * given @ np.log(np.maximum(targets, _LEAST)).T
        logits -= logits.max(1, keepdims=True)
        after = np.exp(logits)
        after /= after.sum(1, keepdims=True)
        change = np.abs(after - encoder).max()
        encoder = after
        if change < STILL:
            break
    return encoder


def informations(joint: Float64[np.ndarray, "x y"], encoder: Float64[np.ndarray, "x t"]) -> tuple[float, float]:
    """What an encoder keeps of the input, and what of the target, in nats."""
    return mutual(joint.sum(1)[:, None] * encoder), mutual(encoder.T @ joint)


def mutual(joint: Float64[np.ndarray, "a b"]) -> float:
    """The mutual information of two variables, in nats."""
    apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    met = joint > 0
    return float((joint[met] * np.log(joint[met] / apart[met])).sum())


def _checked(joint: Float64[np.ndarray, "x y"]) -> Float64[np.ndarray, "x y"]:
    if (joint < 0).any() or abs(joint.sum() - 1) > 1e-9 or not joint.sum(1).all():
        raise ValueError("expected probabilities that sum to 1, with something for each value of the input")
    return joint
