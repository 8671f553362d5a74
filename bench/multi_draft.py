"""Prints the table of the study of several drafts, and draws its picture, from its record.

    python bench/multi_draft.py [RECORD] [IMAGE]

The record is bench/results/multi-draft.json, the image docs/images/multi-draft.png. All pairs of target and draft have
the same shapes, so that a draft call has one cost: the median of what the runs measured.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from crt_report.panels import COLORS
from crt_run.present.tables import spread

ROOT = Path(__file__).resolve().parent.parent
STEPS = "training.draft.steps"
DECODERS = {
    "`block`, 3 ids": ("block", 3),
    **{f"`{name}`": (name, 6) for name in ("sd", "block", "multi-block", "rsd-s", "rsd-c", "traversal", "greedy-tree")},
}
"""Decoders and drafted ids a call, by their name in the table."""
TEMPERATURES = (0.3, 1.0)
CHAINS = ("`block`, 3 ids", "`sd`", "`block`")
CHEAP = 0.07
"""Target calls that a draft call costs with a larger target: `draft_cost_measured` of results/rsd.json."""
PANELS = ("ids a call", "ids by the time of a target call", "share of the bound at the root")


def steps(record: dict[str, Any]) -> list[int]:
    """The training steps of the drafts, fewest first."""
    return sorted({point["settings"][STEPS] for point in record["points"]})


def cost(record: dict[str, Any]) -> float:
    """What a draft call costs, in target calls."""
    return statistics.median(run["result"]["numbers"]["draft_cost_measured"]["value"] for run in record["runs"])


def losses(record: dict[str, Any]) -> dict[int, float]:
    """Nats for an id of the held-out text under each draft."""
    return {
        run["settings"][STEPS]: run["result"]["numbers"]["draft_nats_per_id"]["value"] for run in record["runs"]
    }  # fmt: skip


def at(record: dict[str, Any], decoder: str, temperature: float, draft: int) -> dict[str, Any]:
    """The point of a decoder, a temperature and a draft."""
    (wanted,) = (
        point
        for point in record["points"]
        if (point["labels"]["decoder"], point["labels"]["budget"]) == DECODERS[decoder]
        and (point["labels"]["temperature"], point["settings"][STEPS]) == (temperature, draft)
    )
    return dict(wanted)


def levels(point: dict[str, Any]) -> int:
    """Draft calls of a round."""
    name, _, value = point["labels"]["structure"].split()[-1].partition("=")
    return len(value.split(",")) if name == "branching" else int(value)


def numbers(record: dict[str, Any], decoder: str, temperature: float, draft: int) -> list[dict[str, Any]]:
    """What the panels show: ids a call, the same by cost, and the share of the bound."""
    point = at(record, decoder, temperature, draft)
    ids = point["numbers"]["block_efficiency"]
    paid = 1 + cost(record) * levels(point)
    by_cost = {**ids, **{key: ids[key] / paid for key in ("value", "low", "high")}}
    return [ids, by_cost, point["numbers"]["bound_fraction"]]


def lead(record: dict[str, Any], temperature: float, draft: int, price: float) -> float:
    """Ids by cost of the best decoder with several drafts, over those of the best chain, at a price of a draft call."""
    ids = {}
    for decoder in DECODERS:
        point = at(record, decoder, temperature, draft)
        ids[decoder] = point["numbers"]["block_efficiency"]["value"] / (1 + price * levels(point))
    return max(ids[each] for each in ids if each not in CHAINS) / max(ids[each] for each in CHAINS)


def root(record: dict[str, Any], decoder: str, temperature: float) -> dict[str, Any]:
    """The mean share of the bound at the root over drafts.

    Its interval is the mean of theirs: they continue the same files, and so depend on each other in an unknown way.
    """
    shares = [numbers(record, decoder, temperature, draft)[2] for draft in steps(record)]
    means = {key: statistics.fmean(each[key] for each in shares) for key in ("value", "low", "high")}
    return {**shares[0], **means}


def rows(record: dict[str, Any]) -> Iterator[str]:
    """Rows of markdown: ids a call and ids by cost, by temperature and draft, and the share of the bound."""
    for decoder in DECODERS:
        cells = [
            ", ".join(f"{each['value']:.2f}" for each in numbers(record, decoder, temperature, draft)[:2])
            for temperature in TEMPERATURES
            for draft in steps(record)
        ]
        shares = [spread(root(record, decoder, temperature)) for temperature in TEMPERATURES]
        yield f"| {decoder} | {' | '.join(cells + shares)} |"


def draw(record: dict[str, Any], path: Path) -> None:
    """Writes the picture: a row for each temperature, and what is measured by the steps of the draft."""
    figure = Figure((12, 7), layout="constrained")
    drafts = steps(record)
    for temperature, axes in zip(TEMPERATURES, figure.subplots(2, 3), strict=True):
        for place, decoder in enumerate(DECODERS):
            points = [numbers(record, decoder, temperature, draft) for draft in drafts]
            for axis, shown in zip(axes, zip(*points, strict=True), strict=True):
                across = [position + (place - 3.5) * 0.05 for position in range(len(drafts))]
                values = [each["value"] for each in shown]
                bars = [[abs(each[end] - each["value"]) for each in shown] for end in ("low", "high")]
                axis.errorbar(across, values, yerr=bars, color=COLORS[place], marker="o", ms=4, lw=1, elinewidth=0.7,
                              label=decoder.replace("`", ""))  # fmt: skip
        for axis, name in zip(axes, PANELS, strict=True):
            axis.set_xticks(range(len(drafts)), [f"{draft}\n{losses(record)[draft]:.2f} nats" for draft in drafts])
            axis.set_xlabel("training steps of the draft, nats for an id")
            axis.set_ylabel(f"temperature {temperature}: {name}" if axis is axes[0] else name)
            axis.grid(alpha=0.25)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=8, frameon=False)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    record, image = (
        Path(sys.argv[place]) if len(sys.argv) > place else default
        for place, default in ((1, ROOT / "bench/results/multi-draft.json"), (2, ROOT / "docs/images/multi-draft.png"))
    )
    kept = json.loads(record.read_text())
    print(f"a draft call costs {cost(kept):.2f} target calls")
    print(*rows(kept), sep="\n")
    for price in (cost(kept), CHEAP):
        leads = [f"{lead(kept, each, draft, price):.2f}" for each in TEMPERATURES for draft in steps(kept)]
        print(f"several drafts over a chain, by temperature and draft, at {price:.2f}: {', '.join(leads)}")
    draw(kept, image)
