"""Prints the tables of the study of drafts, and draws its picture, from its record.

    python bench/drafts.py [RECORD] [IMAGE]

The record is bench/results/crt-drafts.json, the image docs/images/crt-drafts.png. A row of panels for each data set:
bits for the image against bits for the ids, then the acceptance of each draft and the calls of the prior for an id,
both against bits for the ids. A line joins the weights of the regulariser; the control of the same rate stands alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from crt_run.present.tables import change, spread
from crt_run.statistics import paired

ROOT = Path(__file__).resolve().parent.parent
JOINED = ("baseline", "weight-0.25", "weight-1")
ALONE = "matched-rate"
ARMS = {"baseline": "weight 0", "weight-0.25": "weight 0.25", "weight-1": "weight 1", ALONE: "matched rate"}
COLUMNS = ("id_code_length_bits", "data_given_ids_bits", "codes_used")
CALLS = "target_calls_per_id"
NAMES = {
    "causal-head": "head",
    "causal-head class_bias=True": "head with class",
    "transformer layers=1 width=32 heads=2": "trained transformer",
    "bigram": "bigram",
    "none": "no draft",
    "jacobi": "jacobi window=16",
}
COLORS = ("#c0392b", "#8e44ad", "#2471a3", "#1e8449", "#4c566a")
DASHES: dict[str, Any] = {
    "sd length=3": "-", "rsd-s": "--", "traversal": ":", "jacobi window=3": "-.", "jacobi": (0, (6, 1, 1, 1, 1, 1)),
}  # fmt: skip


def curve(axis: Axes, across: dict[str, Any], up: dict[str, Any], **look: Any) -> None:
    """Means with their intervals, by arm."""
    for arms, dash in ((JOINED, look.pop("ls", "-")), ((ALONE,), "none")):
        x, y = ([numbers[arm]["value"] for arm in arms] for numbers in (across, up))
        bars = [[abs(up[arm][end] - up[arm]["value"]) for arm in arms] for end in ("low", "high")]
        face = {} if dash != "none" else {"mfc": "white"}
        axis.errorbar(x, y, yerr=bars, ls=dash, marker="o", ms=4, lw=1.2, elinewidth=0.7, **face, **look)
        look.pop("label", None)


def by_arm(record: dict[str, Any], data: str, number: str) -> dict[str, Any]:
    """A number of the runs on a data set, by arm."""
    groups = {run["group"]: run["arm"] for run in record["runs"] if run["settings"]["dataset"]["use"] == data}
    return {arm: record["arms"][group][number] for group, arm in groups.items()}


def of_points(record: dict[str, Any], data: str, number: str, **labels: str) -> dict[str, Any]:
    """A number of the points on a data set that have these labels, by arm."""
    return {
        point["arm"]: point["numbers"][number]
        for point in record["points"]
        if point["settings"]["dataset"]["use"] == data and point["labels"].items() >= labels.items()
    }


def draw(record: dict[str, Any], path: Path) -> None:
    """Writes the picture."""
    sets, drafts, decoders = data_sets(record), labels(record, "draft"), labels(record, "decoder")
    figure = Figure((12, 3.6 * len(sets) + 0.7), layout="constrained")
    for data, axes in zip(sets, figure.subplots(len(sets), 3, squeeze=False), strict=True):
        cost = by_arm(record, data, "id_code_length_bits")
        curve(axes[0], cost, by_arm(record, data, "data_given_ids_bits"), color="black")
        for arm, each in cost.items():
            place = each["value"], by_arm(record, data, "data_given_ids_bits")[arm]["value"]
            axes[0].annotate(ARMS[arm], place, (4, 4), textcoords="offset points", fontsize=7)
        for color, draft in zip(COLORS, drafts, strict=False):
            if draft != "none":
                accepted = of_points(record, data, "draft_acceptance", draft=draft)
                curve(axes[1], cost, accepted, color=color, label=NAMES.get(draft, draft))
            for decoder in decoders:
                if calls := of_points(record, data, CALLS, draft=draft, decoder=decoder):
                    curve(axes[2], cost, calls, color=color, ls=DASHES[decoder], alpha=0.8)
        names = ("bits for the image given the ids", "share of drafted ids accepted", "calls of the prior for an id")
        for axis, name in zip(axes, names, strict=True):
            axis.set_xlabel("bits for the ids under the prior")
            axis.set_ylabel(f"{data}: {name}" if axis is axes[0] else name)
            axis.grid(alpha=0.25)
        for decoder in decoders:
            axes[2].plot([], [], color="black", ls=DASHES[decoder], label=NAMES.get(decoder, decoder))
    handles = [axis.get_legend_handles_labels() for axis in figure.axes[1:3]]
    lines, texts = ([each for pair in handles for each in pair[part]] for part in (0, 1))
    figure.legend(lines, texts, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110)


def labels(record: dict[str, Any], name: str) -> list[str]:
    """The values of a label of points, in order."""
    return list(dict.fromkeys(point["labels"][name] for point in record["points"]))


def data_sets(record: dict[str, Any]) -> list[str]:
    """The names of the data sets."""
    return list(dict.fromkeys(run["settings"]["dataset"]["use"] for run in record["runs"]))


def rows(record: dict[str, Any]) -> Iterator[str]:
    """Rows of markdown: bits, codes and acceptance of each tokenizer, calls at weight 1 by decoder, calls of Jacobi."""
    drafts = [draft for draft in labels(record, "draft") if draft != "none"]
    for data in data_sets(record):
        for arm, name in ARMS.items():
            own = [by_arm(record, data, number)[arm] for number in COLUMNS]
            accepted = [of_points(record, data, "draft_acceptance", draft=draft)[arm] for draft in drafts]
            yield f"| {data}, {name} | {' | '.join(map(spread, own + accepted))} |"
    for data in data_sets(record):
        for decoder in labels(record, "decoder"):
            calls = [of_points(record, data, CALLS, draft=draft, decoder=decoder) for draft in drafts]
            if all(calls):
                cells = " | ".join(spread(each["weight-1"]) for each in calls)
                yield f"| {data}, weight 1, `{decoder.split()[0]}` | {cells} |"
    for data in data_sets(record):
        for decoder in labels(record, "decoder"):
            if alone := of_points(record, data, CALLS, draft="none", decoder=decoder):
                yield f"| {data}, `{NAMES.get(decoder, decoder)}` | {' | '.join(spread(alone[arm]) for arm in ARMS)} |"


def differences(record: dict[str, Any]) -> Iterator[str]:
    """Differences of acceptance, paired by seed: from the head's, and from that at weight 0."""
    drafts = [draft for draft in labels(record, "draft") if draft != "none"]
    for data in data_sets(record):
        for draft in drafts:
            for arm, name in ARMS.items():
                for other, theirs in (("the head", (arm, drafts[0])), ("weight 0", ("baseline", draft))):
                    if theirs != (arm, draft):
                        less = paired(seeds(record, data, arm, draft), seeds(record, data, *theirs), "")
                        less = "not measured" if less is None else change(less)
                        yield f"{data}, {name}: {NAMES.get(draft, draft)} less {other}: {less}"


def seeds(record: dict[str, Any], data: str, arm: str, draft: str) -> dict[int, float]:
    """The acceptance of a draft, by seed."""
    return {
        run["result"]["seed"]: point["numbers"]["draft_acceptance"]["value"]
        for run in record["runs"]
        if run["arm"] == arm and run["settings"]["dataset"]["use"] == data
        for point in run["result"]["points"]
        if point["labels"]["draft"] == draft
    }


if __name__ == "__main__":
    record, image = (
        Path(sys.argv[place]) if len(sys.argv) > place else default
        for place, default in ((1, ROOT / "bench/results/crt-drafts.json"), (2, ROOT / "docs/images/crt-drafts.png"))
    )
    kept = json.loads(record.read_text())
    print(*rows(kept), *differences(kept), sep="\n")
    draw(kept, image)
