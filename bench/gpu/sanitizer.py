"""What compute-sanitizer finds in the verification kernels: memcheck and racecheck, on a small set of trees.

It runs `correctness.py` on fewer trees, one tool after another, as all is slow under it. Without a GPU it says so, and
writes nothing; in a rehearsal the kernels run emulated under the sanitizers of g++ instead, as the tests have it.

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
"""Of the emulation's tests, what stands in for a tool."""
WIDE = 5003
"""A vocabulary whose rows a block cannot hold in whole pieces."""
UNCLEAN = 9
"""The exit status that says that something was found."""


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--cases", type=int, default=100)
    words.add_argument("--tool", nargs="+", choices=TOOLS, default=["memcheck", "racecheck"])
    words.add_argument("--only", nargs="+", default=["recursive", "traversal"])
    given = words.parse_args()
    here()
    found: dict[str, Any] = {}
    for tool in given.tool:
        found[tool] = emulated(tool) if here().rehearsed else sanitized(tool, given.cases, given.only)
        print(f"{tool}: {found[tool]}", flush=True)
        keep("sanitizer", {"cases": given.cases, "rules": given.only, "tools": found})
    print("; ".join(f"{tool}: {result}" for tool, result in found.items()))
    sys.exit(any(not result.startswith(("clean", "not run")) for result in found.values()))


def sanitized(tool: str, cases: int, rules: list[str]) -> str:
    """What a tool finds, and the last lines of what it said if that is anything."""
    path = shutil.which("compute-sanitizer") or shutil.which("/usr/local/cuda/bin/compute-sanitizer")
    if path is None:
        return "not run: no compute-sanitizer"
    script = Path(__file__).with_name("correctness.py")
    arguments = ["--bare", "--cases", str(cases), "--wide", str(WIDE), "--only", *rules]
    words = ["--tool", tool, "--target-processes", "application-only", "--error-exitcode", str(UNCLEAN)]
    return ended([path, *words, sys.executable, str(script), *arguments])


def emulated(tool: str) -> str:
    """What g++'s sanitizers find in the emulated kernels."""
    if tool not in EMULATED:
        return "not run: the emulation has no such check"
    tests = Path(__file__).resolve().parents[2] / "plugins/crt-verify/tests/kernels/test_emulated.py"
    said = ended(
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
    return f"{said}, emulated"


def ended(words: list[str]) -> str:
    """How a command ended."""
    found = subprocess.run(words, check=False, capture_output=True, text=True)
    if found.returncode == 0:
        return "clean"
    print(found.stdout[-2000:], found.stderr[-2000:], flush=True)
    return f"status {found.returncode}"


if __name__ == "__main__":
    main()
