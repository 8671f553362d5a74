"""Figures of a run or sweep, as PNG files."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from crt_report.panels import COLORS, SMALL, finish, named
from crt_run.present.tables import label, titled
from crt_run.runs import files
from crt_run.runs.ended import Ended
from crt_run.runs.numbers import number
from crt_run.runs.records import CURVES
from crtcore.kinds import Measurement, TradeOff

COLUMNS = 20
"""Samples in a row of a grid."""
ABREAST = 6
"""Panels in a row of learning curves."""
FEW = 10
"""The most names in a legend inside a panel."""
ABREAST_NAMES = 2
"""Names in a row of a legend below the panels."""
LONGEST = 80
"""Characters of a group's name in a file name."""


def save(figure: Figure, path: Path) -> Path:
    """Writes a figure as PNG; its layout leaves no margin to cut, which would draw it twice."""
    FigureCanvasAgg(figure)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=150)
    files.write(path, image.getvalue())
    return path


def samples(run: Ended, title: str, path: Path) -> Path | None:
    """Real, reconstructed and generated images of a run; None if it saved no images."""
    kept = run.samples or {}
    if not kept or any(images.ndim != 4 for images in kept.values()):
        return None
    rows = [(name, kept[name]) for name in ("real", "reconstructed", "generated") if name in kept]
    grids = [(name, _grid(images[: 2 * COLUMNS])) for name, images in rows]
    width, left, gap = 10.0, 1.2, 0.12
    heights = [(width - left - 0.1) * canvas.shape[0] / canvas.shape[1] for _, canvas in grids]
    total = sum(heights) + gap * len(grids) + 0.3
    figure, top = Figure(figsize=(width, total)), total - 0.3
    for (name, canvas), height in zip(grids, heights, strict=True):
        axis = figure.add_axes((left / width, (top - height) / total, 1 - (left + 0.1) / width, height / total))
        axis.imshow(canvas, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
        axis.set_xticks([])
        axis.set_yticks([])
        top -= height + gap
    figure.axes[0].set_title(title, loc="left")
    return save(figure, path)


def _grid(images: Any) -> Any:
    """Images side by side with a thin gap, scaled to 0 to 1."""
    count, channels, height, width = images.shape
    rows = -(-count // COLUMNS)
    canvas = np.full((rows * (height + 1) - 1, COLUMNS * (width + 1) - 1, channels), 0.25)
    for index, image in enumerate(images):
        top, left = index // COLUMNS * (height + 1), index % COLUMNS * (width + 1)
        canvas[top : top + height, left : left + width] = np.moveaxis(image, 0, -1) / 2 + 0.5
    return canvas[..., 0] if channels == 1 else canvas


def trade_offs(sweep: Mapping[str, Any], traded: Iterable[TradeOff], path: Path) -> Path | None:
    """A panel for each trade-off: every seed of every arm, and the arms' means with intervals.

    A trade-off whose numbers an arm lacks is left out; None if all are.
    """
    arms = {arm: {name: number(each) for name, each in numbers.items()} for arm, numbers in sweep["arms"].items()}
    drawn = [each for each in traded if all({each.across, each.up} <= set(numbers) for numbers in arms.values())]
    if not drawn:
        return None
    figure = Figure(figsize=(5.2 * len(drawn), 4.2 + _below(arms)), layout="constrained")
    for axis, (across, up, _, summed, floor) in zip(
        figure.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True
    ):
        for (arm, numbers), (color, marker, _) in zip(arms.items(), _looks(arms), strict=True):
            seeds = _seeds(sweep, arm)
            axis.scatter(
                [seed[across] for seed in seeds],
                [seed[up] for seed in seeds],
                s=16,
                alpha=0.45,
                color=color,
                marker=marker,
            )
            _mean(axis, numbers[across], numbers[up], arm, color, marker)
        if summed:
            _totals(axis)
        if floor and floor in (first := next(iter(arms.values()))):
            axis.axhline(first[floor].value, color="black", lw=0.8, ls=":", label=label(floor))
        axis.set_xlabel(_title(across, arms))
        axis.set_ylabel(_title(up, arms))
        axis.grid(alpha=0.25)
    _legend(figure, arms)
    return save(figure, path)


def _mean(axis: Axes, across: Measurement, up: Measurement, arm: str, color: str, marker: str) -> None:
    bars = {
        name: None if each.low is None or each.high is None else [[each.value - each.low], [each.high - each.value]]
        for name, each in (("xerr", across), ("yerr", up))
    }
    axis.errorbar([across.value], [up.value], fmt=marker, color=color, capsize=3, label=arm, **bars)  # type: ignore[arg-type]


def _totals(axis: Axes) -> None:
    """Lines of equal sum of both axes, with the value at the right end."""
    axis.margins(0.12)
    (left, right), (low, high) = axis.get_xlim(), axis.get_ylim()
    for total in MaxNLocator(7).tick_values(left + low, right + high):
        axis.plot([left, right], [total - left, total - right], color="black", lw=0.6, ls=":", alpha=0.5)
        if low < total - right < high:
            place = right, total - right
            axis.annotate(f"{total:g}", place, (-3, 3), textcoords="offset points", fontsize=7, ha="right")
    axis.set_xlim(left, right)
    axis.set_ylim(low, high)


def _title(name: str, arms: Mapping[str, Mapping[str, Measurement]]) -> str:
    return titled(name, next(iter(arms.values()))[name].unit)


def _seeds(sweep: Mapping[str, Any], arm: str) -> list[dict[str, float]]:
    results = [run["result"] for run in sweep["runs"] if run["group"] == arm and run["result"]]
    return [{name: number(each).value for name, each in result["numbers"].items()} for result in results]


def curves(runs: Mapping[str, list[Ended]], path: Path) -> Path | None:
    """Learning curves of each stage, a panel for each of `CURVES` that it recorded; a thin line for each run."""
    records = {group: [run.records for run in ended] for group, ended in runs.items()}
    panels = _panels(line for lists in records.values() for lines in lists for line in lines)
    if not panels:
        return None
    columns = min(ABREAST, len(panels))
    rows = -(-len(panels) // columns)
    units = {stage: own for ended in runs.values() for run in ended for stage, own in run.units.items()}
    figure = _laid_out(rows, columns, _below(records))
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes[len(panels) :]:
        axis.remove()
    for axis, (stage, reading) in zip(axes, panels, strict=False):
        for (group, lists), (color, _, dash) in zip(records.items(), _looks(records), strict=True):
            for lines in lists:
                drawn = [(line["step"], line[reading]) for line in lines if line["stage"] == stage and reading in line]
                if drawn:
                    axis.plot(*zip(*drawn, strict=True), color=color, ls=dash, lw=0.9, alpha=0.7, label=group)
        axis.set_title(stage, fontsize=9)
        axis.set_ylabel(titled(reading, units.get(stage, {}).get(reading, "")), fontsize=SMALL)
        axis.set_xlabel("step", fontsize=SMALL)
        finish(axis)
    _legend(figure, records)
    return save(figure, path)


def _laid_out(rows: int, columns: int, below: float) -> Figure:
    """A figure for panels with titles, axes and a legend `below` inches high.

    The margins are fixed, as measuring texts would take most of the time that a report takes.
    """
    width, height = 4.0 * columns, 3.0 * rows + below
    figure = Figure(figsize=(width, height))
    figure.subplots_adjust(
        left=0.8 / width, right=1 - 0.15 / width, bottom=(below + 0.55) / height, top=1 - 0.35 / height,
        wspace=0.95 / (4.0 - 0.95), hspace=0.9 / (3.0 - 0.9),
    )  # fmt: skip
    return figure


def _legend(figure: Figure, groups: Mapping[str, Any]) -> None:
    """A legend in the last panel, or below all panels if there are many groups."""
    handles = named(figure.axes)
    if len(groups) > FEW:
        figure.legend(
            handles.values(), handles.keys(), loc="outside lower center", ncols=ABREAST_NAMES, frameon=False, fontsize=8
        )
    else:
        figure.axes[-1].legend(handles.values(), handles.keys(), frameon=False, fontsize=8)


def _below(groups: Mapping[str, Any]) -> float:
    """Height of a legend below the panels, in inches."""
    return 0.2 * -(-len(groups) // ABREAST_NAMES) if len(groups) > FEW else 0.0


def _panels(lines: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    panels: dict[tuple[str, str], None] = {}
    for line in lines:
        for reading in CURVES:
            if reading in line:
                panels[line["stage"], reading] = None
    return list(panels)


def _looks(groups: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """A colour, a marker and a dash for each group, distinct among the first 36."""
    kinds = (("o", "-"), ("s", "--"), ("^", ":"))
    return [(COLORS[index % len(COLORS)], *kinds[index // len(COLORS) % len(kinds)]) for index in range(len(groups))]


def file_name(group: str) -> str:
    """A group's name as part of a file name: with a hash, if characters are replaced or it is long."""
    plain = re.sub(r"[^A-Za-z0-9._=-]+", "-", group)
    if plain == group and len(group) <= LONGEST:
        return group
    return f"{plain[:LONGEST]}-{hashlib.sha256(group.encode()).hexdigest()[:8]}"
