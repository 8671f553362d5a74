"""Targets that the data determine: their floor, and the codes that reach it."""

from __future__ import annotations

import math

from crt_vib.frontiers.point import Point


def floor(entropy: float, rate: float) -> float:
    """The least distortion of a target of that entropy at a rate, in nats, whatever the encoder; reached by erasure."""
    return max(0.0, entropy - rate)


def erased(classes: int, kept: float) -> Point:
    """The code that tells one of equally likely classes with probability `kept`, and nothing otherwise.

    Raises: ValueError if that is no probability.
    """
    if not 0 <= kept <= 1:
        raise ValueError(f"expected a probability, got {kept!r}")
    told = kept * math.log(classes)
    return Point(1.0, told, told)
