"""Points of an experiment as panels in a grid: a row for each number, a column for each setting."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.figure
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from crtcore.kinds import Figure
from crtcore.points import parted
from crtcore.report.figures import COLORS, save
from crtcore.report.tables import label, measured

MARKERS = "os^Dv*P"
"""Seven, so that with twelve colours no two of 84 lines look alike."""
PANEL = (2.6, 1.9)
"""Inches."""
SMALL = 8
"""Points of letters."""


def grid(points: Sequence[Mapping[str, Any]], figure: Figure, path: Path) -> Path | None:
    """A line for each value of `figure.lines`, alike in all panels; None if the points have other labels or numbers."""
    units = measured(points)
    numbers = [name for name in figure.numbers if name in units]
    if not numbers or not all(_placed(point, figure) for point in points):
        return None
    columns = _columns(points, figure)
    places = list(dict.fromkeys(_place(point, columns) for point in points))
    lines = dict.fromkeys(point[figure.lines] for point in points)
    styles = dict(zip(lines, zip(itertools.cycle(COLORS), itertools.cycle(MARKERS)), strict=False))
    canvas = matplotlib.figure.Figure(
        (PANEL[0] * len(places) + 1.8, PANEL[1] * len(numbers) + 0.5), layout="constrained"
    )
    axes = canvas.subplots(len(numbers), len(places), squeeze=False, sharex="col", sharey="row")
    for name, row in zip(numbers, axes, strict=True):
        row[0].set_ylabel(f"{label(name)}\n({units[name]})", fontsize=SMALL)
        for place, axis in zip(places, row, strict=True):
            _panel(axis, [point for point in points if _place(point, columns) == place], figure, name, styles)
    for place, top, bottom in zip(places, axes[0], axes[-1], strict=True):
        settings = zip(columns, map(str, place), strict=True)
        top.set_title("\n".join(map(" ".join, settings)), fontsize=SMALL)
        bottom.set_xlabel(figure.across, fontsize=SMALL)
    handles = [Line2D([], [], color=hue, marker=marker, ms=4) for hue, marker in styles.values()]
    canvas.legend(
        handles, map(str, lines), title=figure.lines, loc="outside right upper",
        frameon=False, fontsize=SMALL, title_fontsize=SMALL,
    )  # fmt: skip
    return save(canvas, path)


def _placed(point: Mapping[str, Any], figure: Figure) -> bool:
    labels, _ = parted(point)
    across = labels.get(figure.across)
    if not isinstance(across, int | float) or (figure.log and across <= 0):
        return False
    return {figure.lines, *figure.columns} <= labels.keys()


def _columns(points: Sequence[Mapping[str, Any]], figure: Figure) -> list[str]:
    """The figure's columns, then several arms, then what else keeps points of one line from standing in one place."""
    chosen = list(figure.columns)
    for name in parted(points[0])[0]:
        seen = {_place(point, (figure.across, figure.lines, *chosen)) for point in points}
        apart = {_place(point, (figure.across, figure.lines, *chosen, name)) for point in points}
        several = len({point.get(name) for point in points}) > 1
        if name not in chosen and (len(apart) > len(seen) or (name == "arm" and several)):
            chosen.append(name)
    return chosen


def _place(point: Mapping[str, Any], names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(point.get(name) for name in names)


def _panel(
    axis: Axes, points: Sequence[Mapping[str, Any]], figure: Figure, name: str, styles: Mapping[Any, tuple[str, str]]
) -> None:
    """Means joined by lines, each with its interval where it has one."""
    for line, (hue, marker) in styles.items():
        own = [point for point in points if name in point and point[figure.lines] == line]
        found = sorted(((point[figure.across], point[name]) for point in own), key=lambda pair: pair[0])
        axis.plot(
            [across for across, _ in found], [number["mean"] for _, number in found],
            color=hue, marker=marker, ms=3.5, lw=1.2,
        )  # fmt: skip
        for across, number in found:
            if number["low"] is not None:
                axis.plot([across, across], [number["low"], number["high"]], color=hue, lw=1, alpha=0.6)
    if figure.log:
        axis.set_xscale("log")
    else:
        whole = all(isinstance(point[figure.across], int) for point in points)
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=whole))
    axis.tick_params(labelsize=SMALL)
    axis.grid(alpha=0.25)
