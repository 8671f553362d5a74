"""Two numbers of a sweep against each other: a point for each arm, a line for each value of a setting."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.figure
import tomli

from crt_report.figures import save
from crt_report.panels import PANEL, SMALL, finish, joined, styles
from crt_run.present.tables import titled, units
from crt_run.runs.numbers import number
from crtcore.compose.grid import leaves
from crtcore.compose.study import label
from crtcore.errors import dotted
from crtcore.kinds import Measurement, TradeOff

MOST = 24
"""The most points that the figure names."""


class Place(NamedTuple):
    """An arm's place in the figure."""

    group: str
    line: str
    across: Measurement
    up: Measurement


def plane(sweep: Mapping[str, Any], spec: str, drawn: TradeOff, path: Path) -> Path | None:
    """Draws means with intervals along both axes; None if fewer than two arms have both numbers."""
    places = placed(sweep, tomli.loads(spec), drawn)
    if len(places) < 2:
        return None
    canvas = matplotlib.figure.Figure((2.4 * PANEL[0], 2.2 * PANEL[1]), layout="constrained")
    axis = canvas.subplots()
    for line, (color, marker) in styles(place.line for place in places).items():
        joined(axis, [(place.across, place.up) for place in places if place.line == line], color, marker, line)
    if len(places) <= MOST:
        for group, _, across, up in places:
            where = across.value, up.value
            axis.annotate(group, where, (4, 4), textcoords="offset points", fontsize=SMALL - 2, alpha=0.8)
    unit = units(sweep)
    axis.set_xlabel(titled(drawn.across, unit[drawn.across]), fontsize=SMALL)
    axis.set_ylabel(titled(drawn.up, unit[drawn.up]), fontsize=SMALL)
    finish(axis)
    axis.legend(title=drawn.joined, frameon=False, fontsize=SMALL, title_fontsize=SMALL)
    return save(canvas, path)


def placed(sweep: Mapping[str, Any], document: Mapping[str, Any], drawn: TradeOff) -> list[Place]:
    """The place of each group of runs that has both numbers, from left to right."""
    places = []
    for group, run in {run["group"]: run for run in sweep["runs"]}.items():
        numbers = sweep["arms"].get(group, {})
        if {drawn.across, drawn.up} <= numbers.keys():
            line = _setting(run, document, drawn.joined or "")
            places.append(Place(group, line, number(numbers[drawn.across]), number(numbers[drawn.up])))
    return sorted(places, key=lambda place: place.across.value)


def _setting(run: Mapping[str, Any], document: Mapping[str, Any], path: str) -> str:
    """A run's value at a path, from its grid, its arm or the shared spec; the group's name if none sets it."""
    shared = {dotted(inside): value for inside, value in leaves({**document, "sweep": {}})}
    arm = {dotted(inside): value for inside, value in leaves(document["sweep"].get("arms", {}).get(run["arm"], {}))}
    grid = {dotted(inside): value for inside, value in leaves(run["settings"])}
    values = {**shared, **arm, **grid}
    return label(values[path]) if path in values else str(run["group"])
