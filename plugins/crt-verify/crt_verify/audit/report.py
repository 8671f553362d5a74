"""What an audit reports."""

from __future__ import annotations

import itertools
from typing import Any

import attrs

from crt_verify.audit.law import Case
from crt_verify.drafters.drafter import Ids

SHOWN = 12
"""Rows of ids that are shown, those that differ most."""


@attrs.frozen(eq=False)
class Failure:
    """A case in which what is emitted has another law than the target's."""

    case: Case
    emitted: tuple[float, ...]
    """The probability of each row of ids, the target going on behind what was emitted."""
    target: tuple[float, ...]
    """That of the target's own rows, in the same order: that of numbers with these digits."""

    @property
    def distance(self) -> float:
        """The total variation of both."""
        return sum(abs(own - true) for own, true in zip(self.emitted, self.target, strict=True)) / 2

    def rows(self) -> list[tuple[Ids, float, float]]:
        """Each row of ids with the probability that it is emitted with, and that of the target."""
        ids = itertools.product(range(self.case.vocabulary), repeat=self.case.length)
        return list(zip(ids, self.emitted, self.target, strict=True))


@attrs.frozen(eq=False)
class Report:
    """Whether a verifier emits the target's distribution."""

    exact: bool
    """Whether no case differs by more than the tolerance."""
    distance: float
    """The worst total variation between rows of ids."""
    cases: int
    """Cases of which every branch was followed."""
    case: Failure | None = None
    """The smallest failing one: fewest levels, then fewest ids; None where all are exact, or an error came."""
    diagnosis: str | None = None
    """The known mistake that has the same law in every failing case that was compared, or the error that came."""
    shown: Failure | None = None
    """Where all cases are exact, one of them, for a picture."""

    def rows(self) -> list[tuple[str, float, float]]:
        """Each row of ids of the case, or of the one to show, with its probability and that of the target."""
        case = self.case or self.shown
        return [(str(list(ids)), own, true) for ids, own, true in case.rows()] if case else []

    def __str__(self) -> str:
        if self.exact:
            return f"exact: {self.cases} cases, every branch followed; worst total variation {self.distance:.1e}"
        lines = [f"not exact: worst total variation {self.distance:.3g} in {self.cases} cases"]
        if self.diagnosis is None:
            lines.append("no known mistake has this law")
        else:
            lines.append(f"{'cause' if self.case is None else 'likely cause'}: {self.diagnosis}")
        if self.case is not None:
            lines += _shown(self.case)
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """The report as plain values."""
        failure = self.case and {
            "drafter": repr(self.case.case.drafter),
            "p": [[list(ids), list(row)] for ids, row in self.case.case.p.items()],
            "q": [[list(ids), list(row)] for ids, row in self.case.case.q.items()],
            "rows": [[list(ids), own, true] for ids, own, true in self.case.rows()],
            "distance": self.case.distance,
        }
        return {
            "exact": self.exact,
            "distance": self.distance,
            "cases": self.cases,
            "diagnosis": self.diagnosis,
            "case": failure,
        }


def _shown(failure: Failure) -> list[str]:
    case = failure.case
    lines = [f"smallest failing case, {case.drafter!r}: total variation {failure.distance:.3g}"]
    for ids in case.p:
        p, q = (" ".join(f"{x:.4g}" for x in rows[ids]) for rows in (case.p, case.q))
        lines.append(f"  after {list(ids)}: p {p}; q {q}")
    rows = sorted(failure.rows(), key=lambda row: -abs(row[1] - row[2]))
    lines.append("  ids: emitted with, target")
    lines += [f"  {list(ids)}: {own:.6g}, {true:.6g}" for ids, own, true in rows[:SHOWN] if own != true]
    return lines
