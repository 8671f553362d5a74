"""A sweep's numbers against the setting that has the most values in it: a panel for each number."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.figure
import tomli
from matplotlib.axes import Axes

from crt_report.figures import save
from crt_report.panels import PANEL, SMALL, finish, joined, named, styles
from crt_run.present.tables import titled, units
from crt_run.runs.numbers import number
from crtcore.compose.grid import leaves
from crtcore.compose.study import labels
from crtcore.errors import dotted

COLUMNS = 3
"""Panels side by side."""
FEWEST = 3
"""The fewest values of a setting that make a line."""
WIDE = 16
"""The ratio of the largest to the smallest positive value from which on the axis is logarithmic."""


class Standing(NamedTuple):
    """The place of a group of runs in a panel."""

    group: str
    line: str
    """The settings that it shares with the others of its line."""
    value: float | None
    """Its value of the setting; None: it has none, and is drawn across the panel."""


def across(sweep: Mapping[str, Any], spec: str, path: Path) -> tuple[str, Path | None]:
    """The setting's path, and the figure; None if no setting has enough values."""
    setting, standings = placed(sweep, tomli.loads(spec))
    return setting, _draw(sweep, setting, standings, path) if standings else None


def placed(sweep: Mapping[str, Any], document: Mapping[str, Any]) -> tuple[str, list[Standing]]:
    """The setting with the most values among arms and grid, and the place of each group; empty if there are too few."""
    arms = {arm: _numbers(table) for arm, table in document.get("sweep", {}).get("arms", {}).items()}
    settings = {run["group"]: arms.get(run["arm"], {}) | _numbers(run["settings"]) for run in sweep["runs"]}
    values: dict[str, set[float]] = {}
    for name, value in itertools.chain.from_iterable(own.items() for own in settings.values()):
        values.setdefault(name, set()).add(value)
    setting = max(values, key=lambda name: len(values[name]), default="")
    if len(values.get(setting, ())) < FEWEST:
        return "", []
    standings = (_standing(run, setting, settings[run["group"]], arms) for run in sweep["runs"])
    return setting, _parted(list(dict.fromkeys(standings)), _written(sweep, document))


def _written(sweep: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Each group's settings by path: those of the file, its arm and the grid."""
    base = {name: table for name, table in document.items() if name != "sweep"}
    arms = document.get("sweep", {}).get("arms", {})
    return {
        run["group"]: {
            dotted(path): value
            for table in (base, arms.get(run["arm"], {}), run["settings"])
            for path, value in leaves(table)
        }
        for run in sweep["runs"]
    }


def _parted(standings: list[Standing], written: Mapping[str, Mapping[str, Any]]) -> list[Standing]:
    """Standings of which no two share a line and a value: lines are parted by the settings in which such two differ."""
    shared: dict[tuple[str, float | None], list[Standing]] = {}
    for each in standings:
        shared.setdefault((each.line, each.value), []).append(each)
    apart = {
        path: None
        for same in shared.values()
        for one, other in itertools.pairwise(same)
        for path in {**written[one.group], **written[other.group]}
        if written[one.group].get(path) != written[other.group].get(path)
    }
    if not apart:
        return standings
    own = ({path: table[path] for path in apart if path in table} for table in (written[x.group] for x in standings))
    return [
        each._replace(line=", ".join([each.line] * bool(each.line) + labels(mine)))
        for each, mine in zip(standings, own, strict=True)
    ]


def _numbers(table: Mapping[str, Any]) -> dict[str, float]:
    """Dotted path to number, of the numbers in nested tables."""
    return {dotted(path): value for path, value in leaves(table) if type(value) in (int, float)}


def _standing(
    run: Mapping[str, Any], setting: str, own: Mapping[str, float], arms: Mapping[str, Mapping[str, float]]
) -> Standing:
    others = labels({path: value for path, value in _apart(run["settings"], setting).items() if path != setting})
    named = setting not in arms.get(run["arm"], {}) and len(arms) > 1
    return Standing(run["group"], ", ".join([run["arm"]] * named + others), own.get(setting))


def _apart(settings: Mapping[str, Any], setting: str) -> dict[str, Any]:
    """Settings by path; the component that holds `setting`, if one does, as the values inside it."""
    values: dict[str, Any] = {}
    for path, value in settings.items():
        inside = {dotted(each): leaf for each, leaf in leaves({path: value})}
        values |= inside if setting in inside else {path: value}
    return values


def _draw(sweep: Mapping[str, Any], setting: str, standings: list[Standing], path: Path) -> Path | None:
    """A panel for each number that differs between groups."""
    drawn = {
        name: unit
        for name, unit in units(sweep).items()
        if len({number(numbers[name]).value for numbers in sweep["arms"].values() if name in numbers}) > 1
    }
    if not drawn:
        return None
    columns = min(COLUMNS, len(drawn))
    rows = -(-len(drawn) // columns)
    canvas = matplotlib.figure.Figure((1.3 * PANEL[0] * columns, 1.3 * PANEL[1] * rows + 0.4), layout="constrained")
    axes = list(canvas.subplots(rows, columns, squeeze=False).flat)
    looks = styles(each.line for each in standings)
    for axis, (name, unit) in zip(axes, drawn.items(), strict=False):
        for line, look in looks.items():
            _line(axis, [each for each in standings if each.line == line], sweep["arms"], name, look)
        _scale(axis, [each.value for each in standings if each.value is not None])
        axis.set_ylabel(titled(name, unit, "\n"), fontsize=SMALL)
        axis.set_xlabel(setting, fontsize=SMALL)
        finish(axis)
    for axis in axes[len(drawn) :]:
        axis.remove()
    if len(looks) > 1:
        handles = named(canvas.axes)
        canvas.legend(
            handles.values(), handles.keys(), loc="outside lower center", ncols=COLUMNS, frameon=False, fontsize=SMALL
        )
    return save(canvas, path)


def _line(axis: Axes, standings: list[Standing], arms: Mapping[str, Any], name: str, look: tuple[str, str]) -> None:
    """Means with their intervals; a group without a value of the setting is a level across the panel."""
    numbers = [(each.value, number(arms[each.group][name])) for each in standings if name in arms.get(each.group, {})]
    line, color = standings[0].line or None, look[0]
    for level in [each for value, each in numbers if value is None]:
        axis.axhline(level.value, color=color, lw=1, ls="--", label=line)
        if level.low is not None and level.high is not None:
            axis.axhspan(level.low, level.high, color=color, alpha=0.12, lw=0)
    if own := [(value, each) for value, each in numbers if value is not None]:
        joined(axis, own, *look, line)


def _scale(axis: Axes, values: list[float]) -> None:
    """A logarithmic axis for values far apart, linear near 0 if 0 is among them."""
    above = [value for value in values if value > 0]
    if min(values) < 0 or not above or max(above) < WIDE * min(above):
        return
    if 0 in values:
        axis.set_xscale("symlog", linthresh=min(above), linscale=0.5)
        axis.set_xlim(-min(above) / 2, 1.5 * max(above))  # the default margin would be as wide as the rest
    else:
        axis.set_xscale("log", base=2 if all(math.log2(value).is_integer() for value in above) else 10)
    axis.set_xticks(sorted(set(values)), [f"{value:g}" for value in sorted(set(values))])
    axis.minorticks_off()
