"""How many faults a test tries, and how one of them is tried again.

By default a test tries a few; with `CRT_FAULTS=full` all; with `CRT_FAULTS=17` its case 17 alone; with
`CRT_FAULTS=902-1999` those cases, as to go on with a full count that was stopped. A case that does not end ends all.
"""

from __future__ import annotations

import faulthandler
import os
import random
import sys
import threading
from collections import Counter
from collections.abc import Iterator

import attrs
import pytest

RIGHT = ("refused", "unharmed")
"""One documented error, or the answer that there would have been without the fault."""
LIMIT = 3600.0
"""Seconds after which a case hangs; those that kill commands four times take minutes on a busy machine."""


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
        for number in self._numbers(reduced, full):
            hung = threading.Timer(LIMIT, self._hang, [number])
            hung.daemon = True
            hung.start()
            try:
                yield Case(number, random.Random(f"{self.test}/{number}"))
            finally:
                hung.cancel()

    def _numbers(self, reduced: int, full: int) -> range:
        first, dash, last = self.wanted.partition("-")
        if dash:
            return range(int(first), min(int(last) + 1, full))
        return range(int(first), int(first) + 1) if first.isdigit() else range(full if first == "full" else reduced)

    def _hang(self, number: int) -> None:
        """Ends the process with the name of the case, as nothing else ends all that can hang."""
        print(f"no end within {LIMIT:g} s: {self._again(number)}", file=sys.__stderr__, flush=True)
        faulthandler.dump_traceback(sys.__stderr__)
        os._exit(1)

    def _again(self, number: int) -> str:
        return f"again: CRT_FAULTS={number} pytest '{self.test}'"

    def record(self, case: Case, outcome: str, detail: object = "") -> None:
        """Counts how a case ended: refused, unharmed, or a word for what was wrong, such as silent or traceback."""
        self.counts[outcome] += 1
        if outcome not in RIGHT:
            self.wrong.append(f"{outcome}: {detail} ({self._again(case.number)})")


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
