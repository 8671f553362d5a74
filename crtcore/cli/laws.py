"""`crt laws`: the laws of every kind, tried on everything installed."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from crtcore.cli.console import answer, say, show
from crtcore.cli.describe import named
from crtcore.hooks import Component
from crtcore.registry import Registry, describe
from crtcore.spec import Spec
from crtcore.testing.kit import Bench, Law, benches

BROKEN = ("fails", "holds after all")
"""Outcomes that make the trial fail."""


def trial(registry: Registry, name: str | None, *, as_json: bool) -> int:
    """Tries the laws on each example of each component; 1 if one does not hold, or a departure does hold."""
    by_kind = benches()
    chosen = named(registry, name) if name else list(registry)
    rows = []
    for plugin, component in chosen:
        bench = by_kind.get(component.kind)
        for law in bench.laws if bench else ():
            assert bench
            row = {"plugin": plugin, "kind": component.kind, "component": component.name, "law": law.name}
            rows.append({**row, **_tried(bench, component, law)})
            if not as_json:
                say(f"{component.kind}/{component.name}: {law.name}: {rows[-1]['outcome']}")
    none = [f"{component.kind}/{component.name}" for _, component in chosen if component.kind not in by_kind]
    if as_json:
        answer({"laws": rows, "without_laws": none})
    else:
        _show(rows, none)
    return int(any(row["outcome"] in BROKEN for row in rows))


def _tried(bench: Bench, component: Component, law: Law) -> dict[str, Any]:
    """Examples tried, and what came of it."""
    tried, reason = 0, component.departs.get(law.name)
    for spec in component.examples:
        try:
            tried += law.attempt(bench.subject(spec))
        except Exception as error:
            if reason:
                return {"tried": tried, "outcome": "departs", "reason": reason}
            return {"tried": tried, "outcome": "fails", "reason": f"{_brief(spec)}: {describe(error)}"}
    if reason:
        return {"tried": tried, "outcome": "holds after all", "reason": f"declared as a departure: {reason}"}
    return {"tried": tried, "outcome": "holds" if tried else "fails", "reason": None if tried else "nothing was tried"}


def _brief(spec: Spec) -> str:
    return repr(spec)[:200]


def _show(rows: list[dict[str, Any]], none: list[str]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("component", "law", "examples tried", "outcome"):
        table.add_column(column, justify="right" if column == "examples tried" else "left")
    for row in rows:
        outcome = row["outcome"] + (f": {row['reason']}" if row["reason"] else "")
        table.add_row(f"{row['kind']}/{row['component']}", row["law"], str(row["tried"]), outcome)
    show(table)
    click.echo(f"{len(rows)} laws tried; kinds without laws: {', '.join(none) or 'none'}")
