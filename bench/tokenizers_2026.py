"""Prints the tables of the study of tokenizers, and draws its pictures, from its records.

    python bench/tokenizers_2026.py [FOLDER] [IMAGE]

FOLDER is bench/results, the image docs/images/tokenizers-2026.png; a picture of the cells, ...-cells.png, and one of
larger images, ...-larger.png, go beside it. Of the records tokenizers-2026-time.json (equal time), tokenizers-2026.json
(equal FLOPs), tokenizers-2026-shapes.json and tokenizers-2026-photographs.json (images of 32 by 32, equal time) and
tokenizers-2026-time-bits.json (`where_bits_go.py`), those that are missing are named and left out.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from where_bits_go import by_place, differences

from crt_report.panels import finish, styles
from crt_run.present.tables import change, spread

ROOT = Path(__file__).resolve().parent.parent
RULES = {"equal time": "tokenizers-2026-time", "equal FLOPs": "tokenizers-2026"}
LARGER = {"scenes": "tokenizers-2026-shapes", "photographs": "tokenizers-2026-photographs"}
BITS = "tokenizers-2026-time-bits"
WHOLE, IDS, REST = "two_part_code_length_bits", "id_code_length_bits", "data_given_ids_bits"
DRAWN, CALLS = "generation_frechet", "target_calls_per_id"
COLUMNS = (WHOLE, IDS, REST, DRAWN, "codes_used")
PARTS = {"entropy of ids": ("alone", 1), "gained from context": ("context", -1), "image given ids": ("rest", 1)}
"""What the difference of the two-part code length consists of, each with its sign in the sum."""
Record = Mapping[str, Any]


def read(folder: Path) -> dict[str, Record]:
    """The records that are there, by name."""
    paths = {name: folder / f"{name}.json" for name in (*RULES.values(), *LARGER.values(), BITS)}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}


def answer(record: Record, number: str = WHOLE) -> str:
    """Which arms have less of a number than the baseline, and than others, by the claims on it that hold."""
    for_all = [claim for claim in record["claims"] if claim["number"] == number]
    sentences = []
    for against in dict.fromkeys(claim["against"] for claim in for_all):
        pairs = [claim for claim in for_all if claim["against"] == against]
        ahead = [f"{claim['arm']} ({change(claim['difference'])})" for claim in pairs if claim["verdict"] == "holds"]
        sentences.append(f"{', '.join(ahead) or 'none'} of {len(pairs)} below {against}")
    return "; ".join(sentences)


def rows(record: Record, columns: tuple[str, ...] = COLUMNS) -> Iterator[str]:
    """Rows of markdown: means of each arm, and below them the paired differences from the baseline."""
    for arm, numbers in record["arms"].items():
        yield f"| {arm} | {' | '.join(spread(numbers[name]) for name in columns)} |"
        if arm != record["baseline"]:
            gaps = [numbers[name]["difference"] for name in columns]
            cells = ["not paired" if gap is None else change(gap) for gap in gaps]
            yield f"| less {record['baseline']} | {' | '.join(cells)} |"


def plane(axis: Axes, record: Record) -> None:
    """Bits for the image against bits for the ids, a point for each arm, with lines of equal sum."""
    for arm, (color, marker) in styles(record["arms"]).items():
        x, y = (record["arms"][arm][name] for name in (IDS, REST))
        bars = [[[abs(each[end] - each["value"])] for end in ("low", "high")] for each in (x, y)]
        axis.errorbar(x["value"], y["value"], xerr=bars[0], yerr=bars[1], color=color, marker=marker, ms=5,
                      lw=0, elinewidth=0.7, label=arm)  # fmt: skip
    (left, right), (low, high) = axis.get_xlim(), axis.get_ylim()
    for total in range(int((left + low) // 10) * 10, int(right + high) + 10, 10):
        axis.plot([left, right], [total - left, total - right], color="black", alpha=0.12, lw=0.7, zorder=0)
    axis.set(xlim=(left, right), ylim=(low, high), xlabel="bits for the ids under the prior",
             ylabel="bits for the image given the ids")  # fmt: skip
    finish(axis)


def gaps(axis: Axes, records: Mapping[str, Record]) -> None:
    """The paired difference of the two-part code length from the baseline by each rule, one below the other."""
    first = next(iter(records.values()))
    arms = [arm for arm in first["arms"] if arm != first["baseline"]]
    for shift, (rule, record) in zip((-0.15, 0.15), records.items(), strict=False):
        for place, arm in enumerate(arms):
            gap = record["arms"].get(arm, {}).get(WHOLE, {}).get("difference")
            if gap is not None:
                bars = [[abs(gap[end] - gap["value"])] for end in ("low", "high")]
                axis.errorbar(gap["value"], place + shift, xerr=bars,
                              color="#2471a3" if shift < 0 else "#c0392b", marker="o", ms=4, elinewidth=0.9,
                              label=rule if place == 0 else None)  # fmt: skip
    axis.axvline(0, color="black", lw=0.8)
    axis.set_yticks(range(len(arms)), arms)
    axis.invert_yaxis()
    axis.set_xlabel("two-part code length minus the baseline's, bits")
    axis.legend(frameon=False, fontsize=8)
    finish(axis)


def parts(axis: Axes, record: Record) -> None:
    """What the differences of the means consist of: bars whose sum is that of the two-part code length."""
    by_part = {name: differences(record, "sums", number) for name, (number, _) in PARTS.items()}
    arms = list(next(iter(by_part.values())))
    height = 0.8 / len(PARTS)
    for turn, (name, (_, sign)) in enumerate(PARTS.items()):
        values = [0.0 if (gap := by_part[name][arm]) is None else sign * gap["value"] for arm in arms]
        axis.barh([place + (turn - 1) * height for place in range(len(arms))], values, height, label=name)
    axis.axvline(0, color="black", lw=0.8)
    axis.set_yticks(range(len(arms)), arms)
    axis.invert_yaxis()
    axis.set_xlabel("bits minus the baseline's")
    axis.legend(frameon=False, fontsize=8, loc="lower left")
    finish(axis)


def draw(records: Mapping[str, Record], path: Path) -> None:
    """Writes the picture of the records that are there; that of equal time must be."""
    by_rule = {rule: records[name] for rule, name in RULES.items() if name in records}
    figure = Figure((14 if BITS in records else 10, 5), layout="constrained")
    first, second, *third = figure.subplots(1, 3 if BITS in records else 2)
    plane(first, by_rule["equal time"])
    gaps(second, by_rule)
    for axis in third:
        parts(axis, records[BITS])
    figure.legend(*first.get_legend_handles_labels(), loc="outside lower center", ncols=7, frameon=False, fontsize=8)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110)


def draw_cells(record: Record, path: Path) -> None:
    """Writes the mean differences from the baseline at each cell: bits for its id, and for its pixels given all ids."""
    by_part = {part: by_place(record, "by_cell", part) for part in ("ids", "rest")}
    arms = list(by_part["ids"])
    most = max(abs(value) for each in by_part.values() for values in each.values() for value in values)
    figure = Figure((1.3 * len(arms) + 1, 3.4), layout="constrained")
    for (part, each), axes in zip(by_part.items(), figure.subplots(2, len(arms), squeeze=False), strict=True):
        for axis, arm in zip(axes, arms, strict=True):
            side = math.isqrt(len(each[arm]))
            square = [each[arm][row * side : (row + 1) * side] for row in range(side)]
            image = axis.imshow(square, cmap="RdBu_r", vmin=-most, vmax=most)
            axis.set(xticks=[], yticks=[])
            if part == "ids":
                axis.set_title(arm, fontsize=8)
        axes[0].set_ylabel({"ids": "ids", "rest": "image given ids"}[part])
    figure.colorbar(image, ax=figure.axes, label="bits minus the baseline's")
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110)


def draw_larger(records: Mapping[str, Record], path: Path) -> None:
    """Writes the paired differences from the baseline, in bits and in distance of drawn images, by data."""
    figure = Figure((6 * len(records), 4.6), layout="constrained")
    for axis, (data, record) in zip(figure.subplots(1, len(records), squeeze=False)[0], records.items(), strict=True):
        for arm, (color, marker) in styles(record["arms"]).items():
            x, y = (record["arms"][arm][name]["difference"] for name in (WHOLE, DRAWN))
            if arm != record["baseline"]:
                bars = [[[abs(each[end] - each["value"])] for end in ("low", "high")] for each in (x, y)]
                axis.errorbar(x["value"], y["value"], xerr=bars[0], yerr=bars[1], color=color, marker=marker, ms=5,
                              lw=0, elinewidth=0.7, label=arm)  # fmt: skip
        axis.axvline(0, color="black", lw=0.6)
        axis.axhline(0, color="black", lw=0.6)
        axis.set(title=data, xlabel="two-part code length minus the baseline's, bits",
                 ylabel="generation Fréchet distance minus the baseline's")  # fmt: skip
        finish(axis)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    folder, image = (
        Path(sys.argv[place]) if len(sys.argv) > place else default
        for place, default in ((1, ROOT / "bench/results"), (2, ROOT / "docs/images/tokenizers-2026.png"))
    )
    kept = read(folder)
    for rule, name in RULES.items():
        if name in kept:
            print(f"at {rule}: {answer(kept[name])}", *rows(kept[name]), sep="\n")
    larger = {data: kept[name] for data, name in LARGER.items() if name in kept}
    for data, record in larger.items():
        print(f"{data}, bits: {answer(record)}", f"{data}, distance: {answer(record, DRAWN)}", sep="\n")
        print(f"{data}, calls: {answer(record, CALLS)}", *rows(record, (*COLUMNS, CALLS)), sep="\n")
    if larger:
        draw_larger(larger, image.with_name(f"{image.stem}-larger.png"))
    for name in (*RULES.values(), *LARGER.values(), BITS):
        if name not in kept:
            print(f"not run: {name}")
    if RULES["equal time"] in kept:
        draw(kept, image)
    if BITS in kept:
        draw_cells(kept[BITS], image.with_name(f"{image.stem}-cells.png"))
