"""How many faults a test tries, and how one of them is tried again.

By default a test tries a few; with `CRT_FAULTS=full` all; with `CRT_FAULTS=17` its case 17 alone.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator

import attrs
import pytest

RIGHT = ("refused", "unharmed")
"""One documented error, or the answer that there would have been without the fault."""


@attrs.frozen
class Case:
    """One fault: its number, and the random numbers it is made of."""

    number: int
    random: random.Random


@attrs.define
class Faults:
    """The cases of one test, and how each of them ended."""

    test: str
    wanted: str
    counts: Counter[str] = attrs.field(factory=Counter)
    wrong: list[str] = attrs.field(factory=list)
    """What each case that ended in another way than refused or unharmed was, and how to try it again."""

    def cases(self, *, reduced: int, full: int) -> Iterator[Case]:
        """Cases 0 to `reduced`, or to `full`; each has random numbers of its own, whichever others are tried."""
        numbers = range(full if self.wanted == "full" else reduced) if not self.wanted.isdigit() else [int(self.wanted)]
        for number in numbers:
            yield Case(number, random.Random(f"{self.test}/{number}"))

    def record(self, case: Case, outcome: str, detail: object = "") -> None:
        """Counts how a case ended: refused, unharmed, or a word for what was wrong, such as silent or traceback."""
        self.counts[outcome] += 1
        if outcome not in RIGHT:
            self.wrong.append(f"{outcome}: {detail} (again: CRT_FAULTS={case.number} pytest '{self.test}')")


@pytest.fixture
def faults(request: pytest.FixtureRequest) -> Iterator[Faults]:
    """The cases of the test that asks; their counts stand at the end of the session."""
    made = Faults(request.node.nodeid, os.environ.get("CRT_FAULTS", "reduced"))
    yield made
    request.node.user_properties.append(("faults", dict(made.counts)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for each test of faults: how many cases ended how."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, counts in getattr(report, "user_properties", ()):
                if name == "faults" and report.when == "teardown" and counts:
                    ends = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
                    terminalreporter.write_line(f"{report.nodeid}: {sum(counts.values())} cases: {ends}")
