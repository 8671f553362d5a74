"""Targets that the data determine: the least distortion, and the codes that reach it."""

from __future__ import annotations

import math

from crt_vib.frontiers.point import Point


def floor(entropy: float, rate: float) -> float:
    """The least distortion of a target with this entropy at a rate, in nats; erasure codes reach it."""
    return max(0.0, entropy - rate)


def erased(classes: int, kept: float) -> Point:
    """The code that names one of equally likely classes with probability `kept`, and is empty otherwise.

    Raises: ValueError if `kept` is no probability.
    """
    if not 0 <= kept <= 1:
        raise ValueError(f"expected a probability, got {kept!r}")
    nats = kept * math.log(classes)
    return Point(1.0, nats, nats)
