"""A lower bound on the distortion at rates between known points of a frontier."""

from __future__ import annotations

from collections.abc import Iterable

from crt_vib.frontiers.point import Point


def least_distortion(points: Iterable[Point], entropy: float, rate: float) -> float:
    """The highest of the lines that bound the frontier from below: through each point with its slope, and H(Y) - R.

    Exact at the points; slightly too low between them, so that no result is wrongly reported to beat the frontier.
    Units: nats; `entropy` is the entropy of the target.
    """
    lines = [entropy - point.information + point.beta * (point.rate - rate) for point in points]
    return max([entropy - rate, *lines])
