"""The points of an experiment in a grid of panels: a row for each number, a column for each setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.figure
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from crt_report.figures import save
from crt_report.panels import PANEL, SMALL, finish, joined, styles
from crt_run.present.tables import label, measured, place, titled
from crt_run.runs.numbers import number
from crtcore.kinds import Figure, Measurement

DASHES = ("--", ":", "-.")
"""Line styles of references."""
ARM = "arm"
"""The label that a sweep adds to the points of its runs."""


def grid(points: Sequence[Mapping[str, Any]], figure: Figure, path: Path) -> Path | None:
    """A line for each value of `figure.lines`, of one style in all panels; None if points lack labels or numbers."""
    units = measured(points)
    numbers = [name for name in figure.numbers if name in units]
    if not numbers or not all(_placed(point, figure) for point in points):
        return None
    columns = _columns(points, figure)
    settings = list(dict.fromkeys(_values(point, columns) for point in points))
    looks = styles(place(point).get(figure.lines) for point in points)
    size = 2 if figure.along else 1
    canvas = matplotlib.figure.Figure(
        (size * PANEL[0] * len(settings) + 1.8, size * PANEL[1] * len(numbers) + 0.5), layout="constrained"
    )
    axes = canvas.subplots(len(numbers), len(settings), squeeze=False, sharex="col", sharey="row")
    for name, row in zip(numbers, axes, strict=True):
        row[0].set_ylabel(titled(name, units[name], "\n"), fontsize=SMALL)
        for values, axis in zip(settings, row, strict=True):
            _panel(axis, [point for point in points if _values(point, columns) == values], figure, name, looks)
    for values, top, bottom in zip(settings, axes[0], axes[-1], strict=True):
        top.set_title("\n".join(map(" ".join, zip(columns, map(str, values), strict=True))), fontsize=SMALL)
        across = titled(figure.across, units[figure.across]) if figure.along else label(figure.across)
        bottom.set_xlabel(across, fontsize=SMALL)
    references = [(name, dash) for name, dash in zip(figure.references, DASHES, strict=False) if name in units]
    handles = {str(line): Line2D([], [], color=color, marker=marker, ms=4) for line, (color, marker) in looks.items()}
    if set(looks) == {None}:
        handles = {"measured": handles["None"]}
    handles |= {titled(name, units[name]): Line2D([], [], color="black", ls=dash, lw=1) for name, dash in references}
    canvas.legend(
        handles.values(), handles, title=figure.lines, loc="outside right upper",
        frameon=False, fontsize=SMALL, title_fontsize=SMALL,
    )  # fmt: skip
    return save(canvas, path)


def _placed(point: Mapping[str, Any], figure: Figure) -> bool:
    labels, numbers = place(point), point["numbers"]
    if not {figure.lines, *figure.columns} - {ARM} <= labels.keys():
        return False
    if figure.along:
        return figure.along in labels and figure.across in numbers
    across = labels.get(figure.across)
    return isinstance(across, int | float) and not (figure.log and across <= 0)


def _columns(points: Sequence[Mapping[str, Any]], figure: Figure) -> list[str]:
    """The figure's columns, then several arms, then the labels that separate points of one line at one place."""
    chosen = list(figure.columns)
    line = (figure.along or figure.across, figure.lines)
    for name in place(points[0]):
        seen = {_values(point, (*line, *chosen)) for point in points}
        apart = {_values(point, (*line, *chosen, name)) for point in points}
        several = len({place(point).get(name) for point in points}) > 1
        if name not in (figure.lines, *chosen) and (len(apart) > len(seen) or (name == ARM and several)):
            chosen.append(name)
    return chosen


def _values(point: Mapping[str, Any], names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(place(point).get(name) for name in names)


def _panel(
    axis: Axes, points: Sequence[Mapping[str, Any]], figure: Figure, name: str, looks: Mapping[Any, tuple[str, str]]
) -> None:
    """A line for each style in `looks`, and the references."""
    for line, (color, marker) in looks.items():
        own = [point for point in points if name in point["numbers"] and place(point).get(figure.lines) == line]
        joined(axis, [(_across(point, figure), number(point["numbers"][name])) for point in own], color, marker)
    for reference, dash in zip(figure.references, DASHES, strict=False):
        level = sorted(
            (_mean(_across(point, figure)), number(point["numbers"][reference]).value)
            for point in points
            if reference in point["numbers"]
        )
        axis.plot([across for across, _ in level], [mean for _, mean in level], color="black", ls=dash, lw=1)
    if figure.log:
        axis.set_xscale("log")
    else:
        whole = all(isinstance(_across(point, figure), int) for point in points)
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=whole))
    finish(axis)


def _across(point: Mapping[str, Any], figure: Figure) -> Measurement | float:
    """The place on the horizontal axis: a number if the figure has `along`, else a label."""
    if figure.along:
        return number(point["numbers"][figure.across])
    value: float = place(point)[figure.across]
    return value


def _mean(value: Measurement | float) -> float:
    return value.value if isinstance(value, Measurement) else value
