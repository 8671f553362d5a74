"""Two numbers of a sweep against each other: a point for each arm, a line for those of one sort."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.figure
import tomli
from matplotlib.axes import Axes

from crt_report.figures import COLORS, save
from crt_report.grid import MARKERS, PANEL, SMALL
from crt_run.present.tables import titled, units
from crtcore.compose.document import dotted
from crtcore.compose.grid import leaves
from crtcore.kinds import TradeOff

MOST = 24
"""Points that are named in the picture."""


class Place(NamedTuple):
    """Where an arm stands."""

    group: str
    line: str
    across: Mapping[str, Any]
    up: Mapping[str, Any]


def plane(sweep: Mapping[str, Any], spec: str, drawn: TradeOff, path: Path) -> Path | None:
    """Means with their intervals along both axes; None if no two arms have both numbers."""
    places = placed(sweep, tomli.loads(spec), drawn)
    if len(places) < 2:
        return None
    canvas = matplotlib.figure.Figure((2.4 * PANEL[0], 2.2 * PANEL[1]), layout="constrained")
    axis = canvas.subplots()
    lines = dict.fromkeys(place.line for place in places)
    for line, hue, marker in zip(lines, itertools.cycle(COLORS), itertools.cycle(MARKERS), strict=False):
        _line(axis, [place for place in places if place.line == line], line, hue, marker)
    if len(places) <= MOST:
        for group, _, across, up in places:
            where = across["mean"], up["mean"]
            axis.annotate(group, where, (4, 4), textcoords="offset points", fontsize=SMALL - 2, alpha=0.8)
    told = units(sweep)
    axis.set_xlabel(titled(drawn.across, told[drawn.across]), fontsize=SMALL)
    axis.set_ylabel(titled(drawn.up, told[drawn.up]), fontsize=SMALL)
    axis.tick_params(labelsize=SMALL)
    axis.grid(alpha=0.25)
    axis.legend(title=drawn.joined, frameon=False, fontsize=SMALL, title_fontsize=SMALL)
    return save(canvas, path)


def placed(sweep: Mapping[str, Any], document: Mapping[str, Any], drawn: TradeOff) -> list[Place]:
    """Where each group of runs stands that has both numbers, along its line from left to right."""
    places = []
    for group, run in {run["group"]: run for run in sweep["runs"]}.items():
        numbers = sweep["arms"].get(group, {})
        if {drawn.across, drawn.up} <= numbers.keys():
            line = _setting(run, document, drawn.joined)
            places.append(Place(group, line, numbers[drawn.across], numbers[drawn.up]))
    return sorted(places, key=lambda place: place.across["mean"])


def _setting(run: Mapping[str, Any], document: Mapping[str, Any], path: str) -> str:
    """What a run has at a path: by its grid, its arm, or the spec that all share; the group itself if none says."""
    shared = {dotted(inside): value for inside, value in leaves({**document, "sweep": {}})}
    arm = {dotted(inside): value for inside, value in leaves(document["sweep"].get("arms", {}).get(run["arm"], {}))}
    grid = {told.partition("=")[0]: told.partition("=")[2] for told in run["grid"]}
    return str({**shared, **arm, **grid}.get(path, run["group"]))


def _line(axis: Axes, places: list[Place], name: str, hue: str, marker: str) -> None:
    """Means joined by a line, each with its intervals where it has them."""
    means = [(place.across["mean"], place.up["mean"]) for place in places]
    axis.plot(*zip(*means, strict=True), color=hue, marker=marker, ms=3.5, lw=1.2, label=name)
    for place, (right, high) in zip(places, means, strict=True):
        if place.across["low"] is not None:
            axis.plot([place.across["low"], place.across["high"]], [high, high], color=hue, lw=1, alpha=0.6)
        if place.up["low"] is not None:
            axis.plot([right, right], [place.up["low"], place.up["high"]], color=hue, lw=1, alpha=0.6)
