"""Runs every cell of the matrix of backends in a tox environment of its own, and prints one table of them.

A cell is a Python, a backend of attention, one of verification, and the oldest or the pinned versions of packages. One
that cannot be installed or run here is not run, and the table states why. The exit status is 1 if a cell failed.

Usage: python tests/matrix.py [--to FILE], in an environment with tox; `--to` also writes the table, as docs/matrix.md.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("311", "312", "313")
ATTENTION = ("sdpa", "xformers", "flex")
VERIFICATION = ("torch", "kernels")
VERSIONS = ("lowest", "pinned")
LOGS = ROOT / ".tox" / "matrix-logs"
"""A folder for what cells print."""
AT_ONCE = 4
"""The most cells that run at a time: one takes a thread, and about a GB of memory."""
OBSTACLES = (
    (re.compile(r"could not find python interpreter"), "this Python is not installed"),
    (re.compile(r"(\S+) has no wheels with a matching"), r"\1 has no wheel for this Python and system"),
    (re.compile(r"No space left on device"), "the disk is full"),
    (re.compile(r"[Ff]ailed to (?:download|fetch) `?(\S+?)`?$", re.MULTILINE), r"\1 cannot be fetched"),
)
"""What an installation prints that a machine is not able to do, and the reason in the table."""
COUNT = re.compile(r"^=+ .*?(\d+) (?:passed|failed|error).* in [\d.]+s.* =+$", re.MULTILINE)
SKIPPED = re.compile(r"^SKIPPED \[\d+\] \S+ (.*)$", re.MULTILINE)
HEADER = re.compile(r"^versions: (.*)$", re.MULTILINE)
INTRODUCTION = """\
# The matrix of backends

What passed on a machine of this kind: {machine}. `tox run -e matrix -- --to docs/matrix.md` makes
this page. Each cell is an environment of its own: `tox run -e py312-flex-kernels-lowest` runs one.
`lowest` has the oldest versions that the packages allow and that have a wheel for that Python,
`pinned` those of `constraints.txt`.

* `sdpa` is torch's attention, compared on trees with a plain sum in float64.
* `xformers` installs the real package. Its masks are built and compared with ours, and its operators
  state whether they take what crt-nn gives them. On a GPU its kernels compute the trees.
* `flex` compiles FlexAttention and compares it on trees.
* `torch` and `kernels` verify the trees whose logits come from that attention: the ids that are kept
  must be those of torch alone. Beside `sdpa`, `torch` also runs the tests of attention, sessions,
  trees and verdicts, and `kernels` compares the device code, built by g++, with its reference.

A number is that of the tests that passed.
"""


class Cell(NamedTuple):
    """A combination of backends and versions."""

    python: str
    attention: str
    verification: str
    versions: str

    @property
    def environment(self) -> str:
        """Its name in tox.ini."""
        return f"py{self.python}-{self.attention}-{self.verification}-{self.versions}"


class Outcome(NamedTuple):
    """What became of a cell."""

    word: str
    """`passed`, `failed` or `not run`."""
    tests: int = 0
    """Those that passed."""
    reasons: tuple[str, ...] = ()
    """Why it, or some of its tests, did not run or did not pass."""
    versions: str = ""


def cells() -> list[Cell]:
    """All cells, those of one installation after one another."""
    order = itertools.product(PYTHONS, VERSIONS, ATTENTION, VERIFICATION)
    return [Cell(python, attention, verification, versions) for python, versions, attention, verification in order]


def obstacle(cell: Cell) -> str | None:
    """Why a cell cannot run on this machine whatever is installed, or None."""
    if shutil.which("g++") is None and cell.verification == "kernels":
        return "kernels are compiled by g++, which is not installed"
    if shutil.which("g++") is None and cell.attention == "flex":
        return "FlexAttention is compiled by g++, which is not installed"
    return None


def outcome(status: int, text: str) -> Outcome:
    """What the output of tox means."""
    tests = sum(int(each) for each in re.findall(r"(\d+) passed", "\n".join(_last_lines(text))))
    versions = header[1] if (header := HEADER.search(text)) else ""
    if "test session starts" not in text:
        for pattern, reason in OBSTACLES:
            if match := pattern.search(text):
                return Outcome("not run", reasons=(match.expand(reason),))
        return Outcome("failed", reasons=(f"the installation: {_end(text)}",))
    if status:
        return Outcome("failed", tests, tuple(re.findall(r"^(?:FAILED|ERROR) (.*)$", text, re.MULTILINE)), versions)
    if not tests:
        return Outcome("failed", reasons=("no test ran",), versions=versions)
    return Outcome("passed", tests, tuple(dict.fromkeys(SKIPPED.findall(text))), versions)


def _last_lines(text: str) -> list[str]:
    return [match[0] for match in COUNT.finditer(text)]


def _end(text: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and "evaluation failed" not in line]
    errors = [line for line in lines if "error" in line.lower() or "because" in line.lower()]
    return (errors or lines or ["nothing was printed"])[-1]


def run(cell: Cell, logs: Path) -> Outcome:
    """Runs a cell; its output goes to a file."""
    if reason := obstacle(cell):
        return Outcome("not run", reasons=(reason,))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TOX_", "VIRTUAL_ENV"))}
    kept.pop("PIP_CONSTRAINT", None)  # of the environment that this runs in; a cell sets its own
    words = [sys.executable, "-m", "tox", "run", "-e", cell.environment, "--skip-missing-interpreters", "true"]
    start = time.monotonic()
    ended = subprocess.run(
        [*words, "--colored", "no"], cwd=ROOT, env=kept, check=False, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    (logs / f"{cell.environment}.log").write_text(ended.stdout, encoding="utf-8")
    result = outcome(ended.returncode, ended.stdout)
    more = f": {'; '.join(result.reasons)}" if result.reasons else ""
    print(
        f"{cell.environment}: {result.word}, {result.tests} tests, {time.monotonic() - start:.0f} s{more}", flush=True
    )
    return result


def table(outcomes: dict[Cell, Outcome]) -> str:
    """The outcomes as a table of Markdown, with the reasons below."""
    reasons: dict[str, int] = {}

    def text(result: Outcome) -> str:
        marks = [str(reasons.setdefault(each, len(reasons) + 1)) for each in result.reasons]
        shown = f"{result.word} {result.tests}" if result.word == "passed" else result.word
        return f"{shown} ({', '.join(marks)})" if marks else shown

    columns = list(itertools.product(ATTENTION, VERIFICATION))
    rows = [("Python", "versions", *(" + ".join(each) for each in columns))]
    for python, versions in itertools.product(PYTHONS, VERSIONS):
        shown = [text(outcomes[Cell(python, *each, versions)]) for each in columns]
        rows.append((f"{python[0]}.{python[1:]}", versions, *shown))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "| " + " | ".join("---" for _ in rows[0]) + " |")
    notes = [f"{number}. {reason}" for reason, number in reasons.items()]
    return "\n".join([*lines, *(["", "Not run, or failed:", ""] if notes else []), *notes])


def installed(outcomes: dict[Cell, Outcome]) -> str:
    """The versions of each installation, as a list of Markdown."""
    kept: dict[str, str] = {}
    for cell, result in outcomes.items():
        name = f"{cell.python[0]}.{cell.python[1:]} {cell.versions}"
        if len(result.versions) > len(kept.get(name, "")):  # xformers is in some only
            kept[name] = result.versions
    return "\n".join(f"* {name}: {versions or 'not installed'}" for name, versions in kept.items())


def machine() -> str:
    """The kind of this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    ended = subprocess.run(query, check=False, capture_output=True, text=True) if shutil.which(query[0]) else None
    names = ended.stdout.split("\n")[0].strip() if ended and ended.returncode == 0 else ""
    return f"{cores} CPU cores, {names or 'no GPU'}"


def every(chosen: Sequence[Cell], logs: Path) -> Iterable[tuple[Cell, Outcome]]:
    """Runs cells, some at a time."""
    logs.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(min(AT_ONCE, os.cpu_count() or 1)) as pool:
        yield from zip(chosen, pool.map(lambda cell: run(cell, logs), chosen), strict=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, help="A file for the table.")
    parser.add_argument(
        "--logs", type=Path, default=ROOT / ".tox" / "matrix-logs", help="A folder for what cells print."
    )
    arguments = parser.parse_args()
    outcomes = dict(every(cells(), LOGS))
    text = f"{INTRODUCTION.format(machine=machine())}\n{table(outcomes)}\n\nInstalled were:\n\n{installed(outcomes)}\n"
    print(f"\n{text}")
    if arguments.to:
        arguments.to.write_text(text, encoding="utf-8")
    counts = {word: sum(each.word == word for each in outcomes.values()) for word in ("passed", "failed", "not run")}
    print(", ".join(f"{count} cells {word}" for word, count in counts.items()))
    sys.exit(counts["failed"] > 0)


if __name__ == "__main__":
    main()
