"""Numbers as rich tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from crt_run.sweeps.points import parted


def comparison(sweep: Mapping[str, Any]) -> Table:
    """A row for each number and a column for each arm: mean, half width over seeds, and the paired difference."""
    arms = sweep["arms"]
    seeds = max(number["seeds"] for numbers in arms.values() for number in numbers.values())
    table = Table(
        title=f"{sweep['name']}: mean ± half of the 95 % interval over {seeds} seeds",
        caption=f"second line: paired difference from {sweep['baseline']} (seeds that agree on its sign)",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("", overflow="fold")
    for arm in arms:
        table.add_column(arm, justify="right", no_wrap=True)
    for name, unit in units(sweep).items():
        cells = [cell(numbers.get(name)) for numbers in arms.values()]
        table.add_row(Text.assemble(label(name), (f"\n{unit}", "dim")), *cells)
    return table


def single(result: Mapping[str, Any]) -> Table:
    """A row for each number of one run."""
    table = Table(title=f"{result['name']}, seed {result['seed']}", title_justify="left")
    table.add_column("")
    table.add_column("value", justify="right")
    table.add_column("95 % over samples", justify="right")
    table.add_column("unit")
    for name, number in result["numbers"].items():
        low, high = number.get("low"), number.get("high")
        span = "" if low is None else f"{short(low)} to {short(high)}"
        table.add_row(label(name), short(number["value"]), span, number["unit"])
    return table


def points(values: Mapping[str, Any]) -> Table:
    """A row for each point of a run or sweep: its labels, then the mean and half width of its numbers."""
    rows = values["points"]
    names, numbers = labels(rows), measured(rows)
    title = "points: mean ± half of the 95 % interval, over seeds if there are several"
    table = Table(title=title, title_justify="left")
    for name in names:
        table.add_column(name)
    for name, unit in numbers.items():
        table.add_column(Text.assemble(label(name), (f"\n{unit}", "dim")), justify="right")
    if gathered := "arm" in rows[0]:
        table.add_column("seeds", justify="right")
    for point in rows:
        cells = [str(point.get(name, "")) for name in names]
        cells += [spread(point[name]) if name in point else "" for name in numbers]
        table.add_row(*map(Text, [*cells, *([str(seeds(point))] if gathered else [])]))
    return table


def labels(points: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of the labels of points."""
    return list(dict.fromkeys(name for point in points for name in parted(point)[0]))


def measured(points: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Every number of the points with its unit."""
    return {name: number["unit"] for point in points for name, number in parted(point)[1].items()}


def seeds(point: Mapping[str, Any]) -> int:
    """The largest number of seeds behind a number of a sweep's point."""
    return max((number["seeds"] for number in parted(point)[1].values()), default=0)


def units(sweep: Mapping[str, Any]) -> dict[str, str]:
    """Every number of a sweep with its unit, in the order of the runs."""
    return {name: number["unit"] for numbers in sweep["arms"].values() for name, number in numbers.items()}


def cell(number: Mapping[str, Any] | None) -> Text:
    """A number with its interval, and below it the paired difference, bold if its interval excludes 0."""
    if number is None:
        return Text("not measured", "dim")
    text = Text(spread(number))
    if difference := number["difference"]:
        text.append(f"\n{change(difference)}", "dim" if crosses(difference) else "bold")
    return text


def crosses(difference: Mapping[str, Any]) -> bool:
    """True if the interval contains 0, or there is none."""
    return difference["low"] is None or difference["low"] <= 0 <= difference["high"]


def change(difference: Mapping[str, Any]) -> str:
    """`-4.87 ± 3.55 (5/5)`: a paired difference, and how many seeds agree on its sign."""
    if difference["low"] == difference["high"] == 0:
        return "the same"
    return f"{spread(difference, sign=True)} ({difference['same_sign']}/{difference['seeds']})"


def spread(number: Mapping[str, Any], *, sign: bool = False) -> str:
    """`172.3 ± 1.2`; the mean alone if all seeds agree or there is one."""
    mean = short(number["mean"], sign=sign)
    if number["low"] is None or number["low"] == number["high"]:
        return mean
    return f"{mean} ± {(number['high'] - number['low']) / 2:.{_decimals(number['mean'])}f}"


def short(value: float, *, sign: bool = False) -> str:
    """About four significant digits, with an exponent below 0.001 alone."""
    if 0 < abs(value) < 0.001:
        return f"{value:{'+' if sign else ''}.3g}"
    return f"{value:{'+' if sign else ''}.{_decimals(value)}f}"


def _decimals(value: float) -> int:
    return 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 1 else 3


def label(name: str) -> str:
    """`two part code length` from `two_part_code_length_bits`."""
    return name.removesuffix("_bits").replace("_", " ")


def titled(name: str, unit: str, between: str = " ") -> str:
    """`rate (nats)` from `rate_nats`: the title of an axis."""
    return f"{label(name).removesuffix(f' {unit}')}{between}({unit})"


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
        if both := claim.get("two_level"):
            low, high = (short(both[end], sign=True) for end in ("low", "high"))
            gap += f"; over seeds and {both['samples']} samples {low} to {high}"
        where = f" at {', '.join(claim['grid'])}" if claim["grid"] else ""
        lines.append(
            f"{label(claim['number'])} of {claim['arm']} {claim['expect']} than that of {claim['against']}{where}: "
            f"{claim['verdict']}{gap}"
        )
    return lines
