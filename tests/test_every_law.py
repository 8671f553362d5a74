"""What the check of every law demands of outcomes: a planted offender for each demand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from crtcore.kinds import KINDS

sys.path.append(str(Path(__file__).parent))
from every_law import problems


def row(kind: str, outcome: str, **columns: Any) -> dict[str, Any]:
    return {
        "kind": kind, "component": "planted", "law": "it-is", "outcome": outcome, "tried": 1, "checks": 2,
        "reason": None, **columns,
    }  # fmt: skip


SOUND = [row(kind, "holds") for kind in KINDS]


def test_sound_outcomes_have_no_problem() -> None:
    rest = [row("prior", "departs", reason="by design"), row("prior", "not applicable", checks=0, reason="no ids")]

    assert list(problems([*SOUND, *rest])) == []


@pytest.mark.parametrize(
    ("planted", "message"),
    [
        (row("prior", "fails", reason="1 != 2"), "prior/planted: it-is: fails: 1 != 2"),
        (row("prior", "unexpectedly holds", reason="remove it"), "unexpectedly holds: remove it"),
        (row("prior", "holds", checks=0), "holds after 0 checks of 1 examples"),
        (row("prior", "holds", tried=0), "holds after 2 checks of 0 examples"),
        (row("prior", "not applicable", checks=0), "after 0 checks and for the reason None"),
        (row("prior", "not applicable", reason="no ids"), "after 2 checks and for the reason 'no ids'"),
        (row("prior", "not installed", law="it-was", reason="no file"), "prior: it-was: holds for no component"),
    ],
)
def test_a_planted_outcome_is_a_problem(planted: dict[str, Any], message: str) -> None:
    (problem,) = problems([*SOUND, planted])

    assert message in problem


def test_a_kind_without_a_law_is_a_problem() -> None:
    assert list(problems(SOUND[1:])) == [f"{SOUND[0]['kind']}: no law of it holds"]
