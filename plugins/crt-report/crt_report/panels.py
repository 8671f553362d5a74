"""What the figures of a report share: colours, markers, and means joined by a line with their intervals."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TypeVar

from matplotlib.artist import Artist
from matplotlib.axes import Axes

from crtcore.kinds import Measurement

COLORS = (
    "#4c566a", "#c0392b", "#2471a3", "#1e8449", "#8e44ad", "#b9770e",
    "#17a2b8", "#d35fb7", "#7f6000", "#000000", "#8bc34a", "#99a3a4",
)  # fmt: skip
MARKERS = "os^Dv*P"
"""Seven, so that with twelve colours no two of 84 lines look alike."""
PANEL = (2.6, 1.9)
"""Size of a panel in inches."""
SMALL = 8
"""Font size in points."""

Name = TypeVar("Name")


def styles(names: Iterable[Name]) -> dict[Name, tuple[str, str]]:
    """A colour and a marker for each distinct name, in order."""
    return dict(zip(dict.fromkeys(names), zip(itertools.cycle(COLORS), itertools.cycle(MARKERS)), strict=False))


def named(axes: Iterable[Axes]) -> dict[str, Artist]:
    """What a legend shows: the first thing of each name in any panel, as a panel may lack some."""
    handles: dict[str, Artist] = {}
    for axis in axes:
        for handle, name in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    return handles


def joined(
    axis: Axes,
    points: Iterable[tuple[Measurement | float, Measurement]],
    color: str,
    marker: str,
    label: str | None = None,
) -> None:
    """Means joined by a line from left to right, with the intervals that they have.

    A point is two numbers, across and up; the first may be a plain value.
    """
    pairs = sorted(((_number(across), up) for across, up in points), key=lambda pair: pair[0].value)
    xs, ys = [each.value for each, _ in pairs], [up.value for _, up in pairs]
    axis.plot(xs, ys, color=color, marker=marker, ms=3.5, lw=1.2, label=label)
    for (across, up), x, y in zip(pairs, xs, ys, strict=True):
        if up.low is not None and up.high is not None:
            axis.plot([x, x], [up.low, up.high], color=color, lw=1, alpha=0.6)
        if across.low is not None and across.high is not None:
            axis.plot([across.low, across.high], [y, y], color=color, lw=1, alpha=0.6)


def _number(value: Measurement | float) -> Measurement:
    return value if isinstance(value, Measurement) else Measurement(value, "", 1)


def finish(axis: Axes) -> None:
    """Small tick labels and a pale grid."""
    axis.tick_params(labelsize=SMALL)
    axis.grid(alpha=0.25)
