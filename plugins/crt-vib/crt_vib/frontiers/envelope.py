"""The distortion that a few points of a frontier leave possible at a rate between theirs."""

from __future__ import annotations

from collections.abc import Iterable

from crt_vib.frontiers.point import Point


def least_distortion(points: Iterable[Point], entropy: float, rate: float) -> float:
    """The highest of the lines that bound the frontier from below: through each point with its slope, and H(Y) - R.

    Exact at the points; between them too low by a little, so that nothing is wrongly said to beat the frontier.
    Units: nats; `entropy` is that of the target.
    """
    lines = [entropy - point.information + point.beta * (point.rate - rate) for point in points]
    return max([entropy - rate, *lines])
