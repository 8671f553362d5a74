"""Tests installed components against the laws of their kinds, and prints the outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import click
from hypothesis.errors import HypothesisException
from rich.table import Table
from rich.text import Text

from crt_cli.console import answer, say
from crt_cli.layout import show
from crt_laws.conformance import benches
from crt_laws.kit import EXAMPLES, Attempt, Bench, Law, NotApplicable, Unchecked
from crt_run.cli.describe import named
from crtcore.errors import RunError, in_one_line, nearest
from crtcore.hooks import Component
from crtcore.loading import Failed, call
from crtcore.registry import NotInstalled, Registry
from crtcore.spec import Spec

BROKEN = ("fails", "unexpectedly holds")
"""Outcomes with which the command fails."""
UNTRIED = ("not applicable", "not installed")
"""Outcomes without a check: the law is for others, or a library that the component needs is missing."""


class Case(NamedTuple):
    """One law and one component."""

    plugin: str
    component: Component
    bench: Bench
    law: Law

    def row(self, **columns: Any) -> dict[str, Any]:
        """The JSON object of the case."""
        kind, name = self.component.kind, self.component.name
        return {"plugin": self.plugin, "kind": kind, "component": name, "law": self.law.name, **columns}

    def line(self) -> str:
        """The command that tests it again."""
        return f"crt laws {self.component.kind}/{self.component.name} --law {self.law.name}"


def cases(registry: Registry, name: str | None, law: str | None) -> Iterator[Case]:
    """Every law of each component, or of those called `name`; only the law called `law`, if one is named.

    Raises: NotInstalled if there is no such component or no such law.
    """
    by_kind = benches()
    chosen = list(registry) if name is None else named(registry, name)
    known = {each.name for _, component in chosen for each in by_kind[component.kind].laws}
    if law is not None and law not in known:
        raise NotInstalled(f"no law of {name or 'any component'} is called {law!r}{nearest(law, sorted(known))}")
    for plugin, component in chosen:
        bench = by_kind[component.kind]
        for each in bench.laws:
            if law in (None, each.name):
                yield Case(plugin, component, bench, each)


def trial(
    registry: Registry, name: str | None, law: str | None = None, *, as_json: bool, examples: int = EXAMPLES
) -> int:
    """Tests the laws on each example of each component, and prints a row for each law.

    Returns 1 if a law fails or made no check, if a departure holds or does not apply, or if it is from an unknown law;
    if nothing was checked of a component, or nothing at all; and if all were asked for and a plugin is broken.
    """
    rows = []
    for case in cases(registry, name, law):
        rows.append(case.row(**_ended(case, examples)))
        if not as_json:
            say(f"{case.component.kind}/{case.component.name}: {case.law.name}: {rows[-1]['outcome']}")
    if law is None:
        chosen = list(registry) if name is None else named(registry, name)
        rows += [*_unknown_departures(chosen), *_unchecked(chosen, rows)]
    if as_json:
        answer({"laws": rows})
    else:
        _show(rows)
    if nothing := all(row["outcome"] in UNTRIED for row in rows):
        say("no law was tested; expected at least one that applies")
    if unloaded := name is None and bool(registry.broken):
        say("not every plugin could be tested: " + "; ".join(registry.broken))
    return int(nothing or unloaded or any(row["outcome"] in BROKEN for row in rows))


def explain(registry: Registry, name: str | None, law: str | None = None, *, as_json: bool) -> int:
    """Prints what each law demands, and whether it applies to the component; 0."""
    rows = []
    for case in cases(registry, name, law):
        try:
            reasons = call(case.plugin, _reasons, case, limited=False)
        except Failed as failed:
            say(f"{case.component.kind}/{case.component.name}: not built: {failed}")
            reasons = [None]
        applies = not all(reasons)
        rows.append(case.row(demands=case.law.statement, applies=applies, reason=_distinct(reasons)))
    if as_json:
        answer({"laws": rows})
        return 0
    table = Table(box=None, pad_edge=False)
    for column in ("component", "law", "applies", "demands"):
        table.add_column(column)
    for row in rows:
        whether = Text("yes" if row["applies"] else f"no: {row['reason']}")
        table.add_row(f"{row['kind']}/{row['component']}", row["law"], whether, Text(row["demands"]))
    show(table)
    return 0


def _reasons(case: Case) -> list[str | None]:
    """Why the law does not apply to each example; None where it applies, or where the example cannot be built."""
    reasons = []
    for spec in case.component.examples:
        try:
            reasons.append(case.law.not_applicable(case.bench.subject_of(case.law, spec)))
        except Exception as error:
            say(f"{case.component.kind}/{case.component.name}: {_brief(spec)}: not built: {in_one_line(error)}")
            reasons.append(None)
    return reasons


def _ended(case: Case, examples: int) -> dict[str, Any]:
    """The outcome, also of a component that raises what only Python itself should, such as SystemExit."""
    try:
        outcome: dict[str, Any] = call(case.plugin, _outcome, case, examples, limited=False)
    except Failed as failed:
        return {"tried": 0, "checks": 0, "outcome": "fails", "reason": f"{failed}; reproduce: {case.line()}"}
    return outcome


def _outcome(case: Case, examples: int) -> dict[str, Any]:
    """What was checked, and the outcome. A departure excuses a broken law, and not one that cannot be tested."""
    tried, checks, reasons = 0, 0, list[str]()
    declared = case.component.departs.get(case.law.name)

    def row(outcome: str, reason: str | None) -> dict[str, Any]:
        return {"tried": tried, "checks": checks, "outcome": outcome, "reason": reason}

    for spec in case.component.examples:
        try:
            subject = case.bench.subject_of(case.law, spec)
        except RunError as error:
            outcome = "not installed" if isinstance(error.__cause__, ModuleNotFoundError) else "fails"
            return row(outcome, f"{_brief(spec)}: not built: {in_one_line(error)}")
        except Exception as error:
            return row("fails", f"{_brief(spec)}: not built: {in_one_line(error)}")
        try:
            made = case.law.attempt(subject, examples)
        except NotApplicable as reason:
            made = Attempt(0, 0)
            reasons.append(str(reason))
        except Exception as error:
            if declared and not isinstance(error, HypothesisException | Unchecked):
                return row("departs", declared)
            text = str(error) if isinstance(error, AssertionError | Unchecked) else in_one_line(error)
            return row("fails", f"{_brief(spec)}: {' '.join(text.split())}; reproduce: {case.line()}")
        tried, checks = tried + made.tried, checks + made.checks
    return row(*_conclusion(len(case.component.examples), reasons, declared))


def _conclusion(examples: int, reasons: list[str], declared: str | None) -> tuple[str, str | None]:
    """Outcome and reason where no check failed; a reason for each example to which the law does not apply."""
    left_out = _distinct(reasons)
    if len(reasons) == examples:
        if declared:
            return "fails", f"not applicable: {left_out} (remove the departure: {declared})"
        return "not applicable", left_out
    if declared:
        return "unexpectedly holds", f"remove the departure: {declared}"
    return "holds", f"not applicable to {len(reasons)} of {examples} examples: {left_out}" if reasons else None


def _distinct(reasons: Sequence[str | None]) -> str | None:
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason)) or None


def _unknown_departures(chosen: list[tuple[str, Component]]) -> Iterator[dict[str, Any]]:
    """A failing row for each departure from a law that does not exist."""
    known = {kind: {law.name for law in bench.laws} for kind, bench in benches().items()}
    for plugin, component in chosen:
        for name in component.departs:
            if name not in known[component.kind]:
                about = {"plugin": plugin, "kind": component.kind, "component": component.name, "law": name}
                reason = f"no law of a {component.kind} is called {name!r}"
                yield {**about, "tried": 0, "checks": 0, "outcome": "fails", "reason": reason}


def _unchecked(chosen: list[tuple[str, Component]], rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A failing row for each component to which no law applies."""
    tested = {(row["kind"], row["component"]) for row in rows if row["outcome"] != "not applicable"}
    for plugin, component in chosen:
        if (component.kind, component.name) not in tested:
            about = {"plugin": plugin, "kind": component.kind, "component": component.name, "law": "any"}
            yield {
                **about,
                "tried": 0,
                "checks": 0,
                "outcome": "fails",
                "reason": "nothing was checked: no law applies",
            }


def _brief(spec: Spec) -> str:
    return repr(spec)[:200]


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("component", "law", "examples", "checks", "outcome"):
        table.add_column(column, justify="right" if column in ("examples", "checks") else "left")
    for row in rows:
        outcome = row["outcome"] + (f": {row['reason']}" if row["reason"] else "")
        counts = ("-", "-") if row["outcome"] in UNTRIED else (str(row["tried"]), str(row["checks"]))
        table.add_row(f"{row['kind']}/{row['component']}", row["law"], *counts, Text(outcome))
    show(table)
    outcomes = Counter(row["outcome"] for row in rows)
    click.echo(f"{len(rows)} laws: " + ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())))
