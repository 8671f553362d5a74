"""Numbers as rich tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from crt_run.present.meanings import KEY, directed
from crt_run.runs.numbers import number
from crt_run.significance import ROUNDING
from crtcore.compose import study
from crtcore.kinds import Meaning

NONE: Mapping[str, Meaning] = {}
SKEWED = 0.1
"""How far the middle of an interval may be from the mean, as a share of half the interval, to be written with `±`."""


def comparison(sweep: Mapping[str, Any], meanings: Mapping[str, Meaning] = NONE) -> Table:
    """A row for each number and a column for each arm: mean, half width over seeds, and the paired difference."""
    arms = sweep["arms"]
    seeds = max(number(each).n for numbers in arms.values() for each in numbers.values())
    table = Table(
        title=f"{sweep['name']}: mean ± half of the 95 % interval over {seeds} seed{'s' * (seeds != 1)}",
        caption=f"{f'{KEY}; ' if meanings else ''}second line: paired difference from {sweep['baseline']} "
        "(seeds that agree on its sign)",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("", overflow="fold")
    for arm in arms:
        table.add_column(arm, justify="right", no_wrap=True)
    for name, unit in units(sweep).items():
        cells = [cell(numbers.get(name), seeds) for numbers in arms.values()]
        table.add_row(Text.assemble(directed(label(name), meanings.get(name)), (f"\n{unit}", "dim")), *cells)
    return table


def single(result: Mapping[str, Any], meanings: Mapping[str, Meaning] = NONE) -> Table:
    """A row for each number of one run."""
    table = Table(
        title=f"{result['name']}, seed {result['seed']}", title_justify="left", caption_justify="left",
        caption=KEY if meanings else None,
    )  # fmt: skip
    table.add_column("")
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="right")
    table.add_column("unit")
    for name, each in result["numbers"].items():
        value, unit, *_ = number(each)
        table.add_row(directed(label(name), meanings.get(name)), short(value), span(each), unit)
    return table


def points(values: Mapping[str, Any]) -> Table:
    """A row for each point of a run or sweep: its labels, then the mean and half width of its numbers."""
    rows = values["points"]
    names, numbers, gathered = columns(rows), measured(rows), "seeds" in rows[0]
    title = "points: mean ± half of the 95 % interval, over seeds if there are several"
    table = Table(title=title, title_justify="left")
    for name in names:
        table.add_column(name)
    for name, unit in numbers.items():
        table.add_column(Text.assemble(label(name), (f"\n{unit}", "dim")), justify="right")
    if gathered:
        table.add_column("seeds", justify="right")
    for point in rows:
        cells = [str(place(point).get(name, "")) for name in names]
        cells += [spread(point["numbers"][name]) if name in point["numbers"] else "" for name in numbers]
        table.add_row(*map(Text, [*cells, *([str(point["seeds"])] if gathered else [])]))
    return table


def place(point: Mapping[str, Any]) -> dict[str, Any]:
    """What identifies a point: arm and settings if it is a sweep's, then its labels.

    An arm or a setting with the name of a label is called `sweep's NAME`; tables, arrays and booleans become text.
    """
    labels: dict[str, Any] = point["labels"]
    settings = {path: _scalar(value) for path, value in point.get("settings", {}).items()}
    own = ({"arm": point["arm"]} if "arm" in point else {}) | settings
    return {(f"sweep's {name}" if name in labels else name): value for name, value in own.items()} | labels


def _scalar(value: Any) -> str | int | float:
    return value if type(value) in (int, float, str) else study.label(value)


def columns(points: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of what differs between points."""
    return list(dict.fromkeys(name for point in points for name in place(point)))


def measured(points: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Every number of the points with its unit."""
    return {name: number(each).unit for point in points for name, each in point["numbers"].items()}


def units(sweep: Mapping[str, Any]) -> dict[str, str]:
    """Every number of a sweep with its unit, in the order of the runs."""
    return {name: number(each).unit for numbers in sweep["arms"].values() for name, each in numbers.items()}


def cell(values: Mapping[str, Any] | None, seeds: int) -> Text:
    """A number with its interval, and below it the paired difference, bold if its interval excludes 0.

    It says how many seeds have the number if not all of `seeds` do.
    """
    if values is None:
        return Text("not measured", "dim")
    text = Text(spread(values))
    if (count := number(values).n) < seeds:
        text.append(f" (n = {count})", "dim")
    if difference := values["difference"]:
        text.append(f"\n{change(difference)}", "dim" if crosses(difference) else "bold")
    return text


def crosses(difference: Mapping[str, Any]) -> bool:
    """True if the interval contains 0, or there is none."""
    _, _, _, low, high = number(difference)
    return low is None or high is None or low <= 0 <= high


def change(difference: Mapping[str, Any]) -> str:
    """`-4.87 ± 3.55 (5/5)`: a paired difference, and how many seeds agree on its sign."""
    _, _, seeds, low, high = number(difference)
    if low == high == 0:
        return "the same"
    return f"{spread(difference, sign=True)} ({difference['same_sign']}/{seeds})"


def spread(values: Mapping[str, Any], *, sign: bool = False) -> str:
    """`172.3 ± 1.2`; the mean alone if all seeds agree, but for rounding, or there is one.

    Both have the decimals of the mean, unless half the interval would be 0 with them. An interval whose middle is not
    the mean is written as its ends: `2.00 (0.500 to 8.00)`.
    """
    value, _, _, low, high = number(values)
    if low is None or high is None or high - low <= ROUNDING * abs(value):
        return short(value, sign=sign)
    if abs((high + low) / 2 - value) > SKEWED * (high - low) / 2:
        return f"{short(value, sign=sign)} ({span(values)})"
    half = f"{(high - low) / 2:.{_decimals(value)}f}"
    return f"{short(value, sign=sign)} ± {half if float(half) else short((high - low) / 2)}"


def span(values: Mapping[str, Any]) -> str:
    """`170.9 to 173.7`: the interval, or nothing if there is none."""
    _, _, _, low, high = number(values)
    return "" if low is None or high is None else f"{short(low)} to {short(high)}"


def short(value: float, *, sign: bool = False) -> str:
    """About four significant digits, with an exponent below 0.001 alone."""
    if 0 < abs(value) < 0.001:
        return f"{value:{'+' if sign else ''}.3g}"
    return f"{value:{'+' if sign else ''}.{_decimals(value)}f}"


def probability(value: float) -> str:
    """Two significant digits, or `below 0.0001`."""
    return "below 0.0001" if value < 0.0001 else f"{value:.2g}"


def _decimals(value: float) -> int:
    return 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 1 else 3


def label(name: str) -> str:
    """`two part code length` from `two_part_code_length_bits`."""
    return name.removesuffix("_bits").replace("_", " ")


def titled(name: str, unit: str, between: str = " ") -> str:
    """`rate (nats)` from `rate_nats`: the title of an axis."""
    return f"{label(name).removesuffix(f' {unit}')}{between}({unit})" if unit else label(name)


def together(facts: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Equal facts under one name: up to three names in full, of more the first and the number of others."""
    names: dict[tuple[str, ...], list[str]] = {}
    for name, values in facts.items():
        names.setdefault(tuple(values), []).append(name)
    return {
        ", ".join(alike) if len(alike) <= 3 else f"{alike[0]} and {len(alike) - 1} more": list(values)
        for values, alike in names.items()
    }


def verdicts(sweep: Mapping[str, Any]) -> list[str]:
    """A line for each claim, with its verdict and difference."""
    lines = []
    for claim in sweep["claims"]:
        difference = claim["difference"]
        gap = f": {change(difference)}" if difference else ""
        if (test := claim.get("test")) and test["tests"] > 1:
            gap += f", p {probability(test['corrected'])} corrected for {test['tests']} claims"
        if both := claim.get("two_level"):
            low, high = (short(both[end], sign=True) for end in ("low", "high"))
            gap += f"; over seeds and {number(both).n} samples {low} to {high}"
        if pairs := claim.get("mcnemar"):
            gap += f"; {pairs['gained']} samples gained, {pairs['lost']} lost, McNemar's p "
            gap += probability(pairs["corrected"])
        where = f" at {', '.join(study.labels(claim['settings']))}" if claim["settings"] else ""
        lines.append(
            f"{label(claim['number'])} of {claim['arm']} {claim['expect']} than that of {claim['against']}{where}: "
            f"{claim['verdict']}{gap}"
        )
    return lines
