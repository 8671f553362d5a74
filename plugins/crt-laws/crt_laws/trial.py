"""The laws of every kind, tried on everything installed."""

from __future__ import annotations

from typing import Any

import click
from hypothesis.errors import HypothesisException
from rich.table import Table
from rich.text import Text

from crt_laws.benches import benches
from crt_laws.kit import Bench, Law
from crtcore.cli.console import answer, say, show
from crtcore.cli.describe import named
from crtcore.errors import in_one_line
from crtcore.hooks import Component
from crtcore.registry import Registry
from crtcore.spec import Spec

BROKEN = ("fails", "holds after all")
"""Outcomes that make the trial fail."""


def trial(registry: Registry, name: str | None, *, as_json: bool) -> int:
    """Tries the laws on each example of each component.

    1 if one does not hold or was not tried, if a departure does hold, or if it is from a law that is not there.
    """
    by_kind = benches()
    chosen = list(registry) if name is None else named(registry, name)
    rows = []
    for plugin, component in chosen:
        bench = by_kind.get(component.kind)
        about = {"plugin": plugin, "kind": component.kind, "component": component.name}
        for law in bench.laws if bench else ():
            assert bench
            rows.append({**about, "law": law.name, **_tried(bench, component, law)})
            if not as_json:
                say(f"{component.kind}/{component.name}: {law.name}: {rows[-1]['outcome']}")
        known = {law.name for law in bench.laws} if bench else set()
        rows += [
            {
                **about,
                "law": name,
                "tried": 0,
                "outcome": "fails",
                "reason": f"no law of a {component.kind} is called so",
            }
            for name in component.departs
            if name not in known
        ]
    none = [f"{component.kind}/{component.name}" for _, component in chosen if component.kind not in by_kind]
    if as_json:
        answer({"laws": rows, "without_laws": none})
    else:
        _show(rows, none)
    return int(any(row["outcome"] in BROKEN for row in rows))


def _tried(bench: Bench, component: Component, law: Law) -> dict[str, Any]:
    """Examples tried, and what came of it; a departure excuses a broken law, not what keeps it from being tried."""
    tried, declared = 0, component.departs.get(law.name)
    for spec in component.examples:
        try:
            subject = bench.subject(spec)
        except Exception as error:
            return {"tried": tried, "outcome": "fails", "reason": f"{_brief(spec)}: not built: {in_one_line(error)}"}
        try:
            tried += law.attempt(subject)
        except Exception as error:
            if declared and not isinstance(error, HypothesisException):
                return {"tried": tried, "outcome": "departs", "reason": declared}
            why = in_one_line(error) if str(error) else f"{in_one_line(error)}, expected: {law.statement}"
            return {"tried": tried, "outcome": "fails", "reason": f"{_brief(spec)}: {why}"}
    if not tried:
        return {"tried": 0, "outcome": "fails", "reason": "nothing was tried"}
    if declared:
        return {"tried": tried, "outcome": "holds after all", "reason": f"declared as a departure: {declared}"}
    return {"tried": tried, "outcome": "holds", "reason": None}


def _brief(spec: Spec) -> str:
    return repr(spec)[:200]


def _show(rows: list[dict[str, Any]], none: list[str]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("component", "law", "examples tried", "outcome"):
        table.add_column(column, justify="right" if column == "examples tried" else "left")
    for row in rows:
        outcome = row["outcome"] + (f": {row['reason']}" if row["reason"] else "")
        table.add_row(f"{row['kind']}/{row['component']}", row["law"], str(row["tried"]), Text(outcome))
    show(table)
    click.echo(f"{len(rows)} laws tried; components without laws: {', '.join(none) or 'none'}")
