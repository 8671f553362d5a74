"""Runs compute-sanitizer on the verification kernels: memcheck and racecheck, on a small set of trees.

It runs `correctness.py` on fewer trees, one tool after another, because each is slow. Without a GPU it prints so, and
writes nothing; in a rehearsal the kernels run emulated under the sanitizers of g++ instead, as in the tests.

Usage: python bench/gpu/sanitizer.py [--cases N] [--tool NAME ...] [--only RULE ...]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from kept import keep
from machine import here

TOOLS = ("memcheck", "racecheck", "synccheck")
EMULATED = {
    "memcheck": "test_blocks_of_many_threads_have_the_references_bits and single",
    "racecheck": "test_no_two_threads_race",
}
"""The tests of the emulation that stand in for a tool."""
WIDE = 5003
"""A vocabulary whose rows a block cannot hold in whole pieces."""
UNCLEAN = 9
"""The exit status for a reported error."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--tool", nargs="+", choices=TOOLS, default=["memcheck", "racecheck"])
    parser.add_argument("--only", nargs="+", default=["recursive", "traversal"])
    arguments = parser.parse_args()
    here()
    findings: dict[str, Any] = {}
    for tool in arguments.tool:
        findings[tool] = emulated(tool) if here().rehearsed else sanitized(tool, arguments.cases, arguments.only)
        print(f"{tool}: {findings[tool]}", flush=True)
        keep("sanitizer", {"cases": arguments.cases, "rules": arguments.only, "tools": findings})
    print("; ".join(f"{tool}: {result}" for tool, result in findings.items()))
    sys.exit(any(not result.startswith(("clean", "not run")) for result in findings.values()))


def sanitized(tool: str, cases: int, rules: list[str]) -> str:
    """The outcome of a tool; prints the last lines of its output if it reports errors."""
    path = shutil.which("compute-sanitizer") or shutil.which("/usr/local/cuda/bin/compute-sanitizer")
    if path is None:
        return "not run: no compute-sanitizer"
    script = Path(__file__).with_name("correctness.py")
    arguments = ["--bare", "--cases", str(cases), "--wide", str(WIDE), "--only", *rules]
    words = ["--tool", tool, "--target-processes", "application-only", "--error-exitcode", str(UNCLEAN)]
    return ended([path, *words, sys.executable, str(script), *arguments])


def emulated(tool: str) -> str:
    """The outcome of g++'s sanitizers on the emulated kernels."""
    if tool not in EMULATED:
        return "not run: the emulation has no such check"
    tests = Path(__file__).resolve().parents[2] / "plugins/crt-verify/tests/kernels/test_emulated.py"
    outcome = ended(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--noconftest",
            "-p",
            "no:cacheprovider",
            str(tests),
            "-k",
            EMULATED[tool],
        ]
    )
    return f"{outcome}, emulated"


def ended(words: list[str]) -> str:
    """How a command ended."""
    completed = subprocess.run(words, check=False, capture_output=True, text=True)
    if completed.returncode == 0:
        return "clean"
    print(completed.stdout[-2000:], completed.stderr[-2000:], flush=True)
    return f"status {completed.returncode}"


if __name__ == "__main__":
    main()
