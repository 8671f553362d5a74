"""Prints the tables of the study of text codes, and draws its picture, from its records.

    python bench/text_codes.py [IMAGE]

The records are bench/results/text-chunks-crt.json, at equal FLOPs, and text-chunks-crt-time.json, at equal time; the
image is docs/images/text-codes.png: bits of the codes against the share of ids that they restore, with a line for each
control's curve and a mark for each seed of CRT.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from equal_accuracy import differences, points
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from crt_run.present.tables import spread
from crt_run.statistics import interval

ROOT = Path(__file__).resolve().parent.parent
RECORDS = {"equal FLOPs": "text-chunks-crt", "equal time": "text-chunks-crt-time"}
COLUMNS = ("code_bits", "text_given_codes_bits", "two_part_bits", "reconstruction_accuracy")
CURVES = {
    "fewer codes": ("codes-16", "codes-32", "codes-64", "codes-128", "baseline"),
    "lower entropy": ("entropy-4", "entropy-5", "entropy-6", "baseline"),
}
COLOURS = {"fewer codes": "#4c566a", "lower entropy": "#2471a3", "CRT": "#c0392b"}


def kept(name: str) -> dict[str, Any]:
    """The record of a study; empty if it was not run."""
    path = ROOT / "bench" / "results" / f"{name}.json"
    record: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
    return record


def rows(record: dict[str, Any]) -> Iterator[str]:
    """Rows of markdown: each arm, and CRT's bits of codes less those of each curve at its accuracy."""
    measured = points(record)
    for arm, numbers in record["arms"].items():
        cells = [spread(numbers[name]) for name in COLUMNS]
        for curve in CURVES.values():
            cells.append(beside(list(differences(measured, arm, curve).values())) if arm.startswith("crt") else "")
        yield f"| {arm} | {' | '.join(cells)} |"


def beside(values: list[float | None]) -> str:
    """Mean and interval over the seeds that have a value."""
    inside = [value for value in values if value is not None]
    if not inside:
        return "outside"
    mean = interval(inside, "bits an id")
    half = "" if mean.low is None else f" ± {mean.value - mean.low:.3f}"
    return f"{mean.value:+.3f}{half}, {len(inside)} seeds"


def draw(records: dict[str, dict[str, Any]], path: Path) -> None:
    """Writes the picture: a panel for each record."""
    figure = Figure((4.4 * len(records), 3.6), layout="constrained")
    panels = figure.subplots(1, len(records), squeeze=False, sharex=True, sharey=True)[0]
    for panel, (rule, record) in zip(panels, records.items(), strict=True):
        measured = points(record)
        for name, curve in CURVES.items():
            means = sorted(middle(measured[arm].values()) for arm in curve)
            panel.plot(*zip(*means, strict=True), marker="o", ms=3, lw=1, color=COLOURS[name], label=name)
        own = [each for arm, seeds in measured.items() if arm.startswith("crt") for each in seeds.values()]
        panel.scatter(*zip(*own, strict=True), s=9, color=COLOURS["CRT"], label="CRT, each seed")
        for arm, seeds in measured.items():
            if not arm.startswith("crt"):
                panel.annotate(arm, middle(seeds.values()), (5, -7), textcoords="offset points", fontsize=6)
        panel.set_title(rule, fontsize=9)
        panel.set_xlabel("share of ids of the text that codes restore", fontsize=8)
        panel.set_ylabel("bits of codes an id of the text", fontsize=8)
        panel.grid(alpha=0.25)
        panel.legend(frameon=False, fontsize=7)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110)


def middle(seeds: Any) -> tuple[float, float]:
    """The middle of an arm's seeds."""
    across, up = zip(*seeds, strict=True)
    return sum(across) / len(across), sum(up) / len(up)


if __name__ == "__main__":
    there = {rule: record for rule, name in RECORDS.items() if (record := kept(name))}
    for rule, record in there.items():
        print(rule, *rows(record), sep="\n")
    draw(there, Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/images/text-codes.png")
