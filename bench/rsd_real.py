"""Prints the verdicts on the claims of the grid on a real pair, and draws its four panels, from its record.

    python bench/rsd_real.py [RECORD] [IMAGE]

The record is bench/results/rsd-real.json, the image docs/images/rsd-real.png. A claim is pooled over the kinds of
prompts at a temperature: the mean of the logarithms of its gains, as kinds have no prompt in common. All claims at all
temperatures are corrected together by Holm's method.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.stats import t as student

from crt_run.present.tables import spread
from crt_run.runs.numbers import number
from crt_run.significance import LEVEL, holm, ratio_p
from crt_run.statistics import CONFIDENCE
from crtcore.kinds import Measurement

ROOT = Path(__file__).resolve().parent.parent
PANELS = {
    "block_efficiency": "ids a call",
    "mbsu": "speed, by parameters",
    "token_rate": "ids a second, over ancestral",
    "accuracy": "ROUGE-2, over ancestral\n(99 % intervals for all at once)",
}
WIDE = ("token_rate", "accuracy")
"""Panels whose bars are cut off at the panel's edge: two prompts are timed, and many scores are 0."""


def pooled(gains: Sequence[Measurement]) -> Measurement:
    """The geometric mean of independent ratios, with a t interval by the degrees of freedom of Welch and Satterthwaite.

    Source: Satterthwaite (1946), Biometrics Bulletin 2, 110.
    """
    middle, errors = 0.0, []
    for each in gains:
        assert each.low is not None
        assert each.high is not None
        middle += math.log(each.value) / len(gains)
        width = math.log(each.high / each.low) / 2
        errors.append((width / student.ppf((1 + CONFIDENCE) / 2, each.n - 1) / len(gains)) ** 2)
    whole = math.fsum(errors)
    if whole == 0:
        return Measurement(math.exp(middle), "times", sum(each.n for each in gains), math.exp(middle), math.exp(middle))
    parts = math.fsum(error**2 / (each.n - 1) for error, each in zip(errors, gains, strict=True))
    freedom = math.floor(whole**2 / parts + 1e-9)  # down, so that the interval is no narrower; but for rounding
    half = math.sqrt(whole) * float(student.ppf((1 + CONFIDENCE) / 2, freedom))
    return Measurement(math.exp(middle), "times", freedom + 1, math.exp(middle - half), math.exp(middle + half))


def claims(record: dict[str, Any]) -> dict[tuple[float, str], Measurement]:
    """The pooled gain of each claim, by temperature and name."""
    gains: dict[tuple[float, str], list[Measurement]] = {}
    for run in record["runs"]:
        for name, each in run["result"]["numbers"].items():
            if name.startswith("gain_"):
                gains.setdefault((temperature(run), name), []).append(number(each))
    return {key: pooled(each) for key, each in sorted(gains.items())}


def temperature(run: dict[str, Any]) -> float:
    """That of a run's points."""
    value: float = run["result"]["points"][0]["labels"]["temperature"]
    return value


def verdicts(measured: dict[tuple[float, str], Measurement]) -> Iterator[str]:
    """Rows of markdown: each claim with its gain, its corrected probability and its verdict."""
    corrected = holm([ratio_p(each, CONFIDENCE) for each in measured.values()])
    for ((heat, name), each), p in zip(measured.items(), corrected, strict=True):
        holds = "holds" if p <= LEVEL and each.value > 1 else "the other way" if p <= LEVEL else "not shown"
        gain = f"{each.value:.3f} ({each.low:.3f} to {each.high:.3f})"
        yield f"| {heat:g} | {name.removeprefix('gain_').replace('_', ' ')} | {gain} | {p:.2g} | {holds} |"


def rows(record: dict[str, Any], budget: int) -> Iterator[str]:
    """Rows of markdown: ids a call of each decoder with so many drafted ids, by arm."""
    arms = by_arm(record).values()
    cells: dict[str, list[str]] = {}
    for point in (each for points in arms for each in points if each["labels"]["budget"] == budget):
        cells.setdefault(point["labels"]["decoder"], []).append(spread(point["numbers"]["block_efficiency"]))
    return (f"| `{decoder}` | {' | '.join(own)} |" for decoder, own in cells.items())


def by_arm(record: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The points of each arm."""
    return {run["arm"]: run["result"]["points"] for run in record["runs"]}


def draw(record: dict[str, Any], path: Path) -> None:
    """Writes the picture: a column for each arm, a row for each number, a line for each decoder."""
    arms = by_arm(record)
    decoders = list(dict.fromkeys(point["labels"]["decoder"] for points in arms.values() for point in points))
    figure = Figure((3.4 * len(arms), 2.6 * len(PANELS) + 0.8), layout="constrained")
    grid = figure.subplots(len(PANELS), len(arms), squeeze=False, sharex=True, sharey="row")
    for column, (arm, points) in enumerate(arms.items()):
        for line, (name, title) in enumerate(PANELS.items()):
            axis = grid[line, column]
            for place, decoder in enumerate(decoders):
                own = [point for point in points if point["labels"]["decoder"] == decoder and name in point["numbers"]]
                own.sort(key=lambda point: point["labels"]["budget"])
                values = [number(point["numbers"][name]) for point in own]
                bars = [[abs((end or each.value) - each.value) for each in values for end in (each[side],)]
                        for side in (3, 4)]  # fmt: skip
                across = [point["labels"]["budget"] + 0.12 * (place - len(decoders) / 2) for point in own]
                axis.errorbar(across, [each.value for each in values], yerr=bars, label=decoder, lw=1, elinewidth=0.6)
            axis.set_title(arm if line == 0 else "", fontsize=9)
            axis.set_ylabel(title if column == 0 else "", fontsize=8)
            axis.set_xlabel("drafted ids of a call" if line == len(PANELS) - 1 else "", fontsize=8)
            axis.grid(alpha=0.25)
    for line, name in enumerate(PANELS):
        if name in WIDE:
            most = max(number(each["numbers"][name]).value for points in arms.values() for each in points)
            grid[line, 0].set_ylim(0, 1.2 * most)  # for all columns
    lines, texts = grid[0, 0].get_legend_handles_labels()
    figure.legend(lines, texts, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    source, image = (
        Path(sys.argv[place]) if len(sys.argv) > place else default
        for place, default in ((1, ROOT / "bench/results/rsd-real.json"), (2, ROOT / "docs/images/rsd-real.png"))
    )
    kept = json.loads(source.read_text())
    print(*verdicts(claims(kept)), sep="\n")
    for drafted in sorted({point["labels"]["budget"] for points in by_arm(kept).values() for point in points}):
        print(f"\n{drafted} drafted ids: {', '.join(by_arm(kept))}", *rows(kept, drafted), sep="\n")
    draw(kept, image)
