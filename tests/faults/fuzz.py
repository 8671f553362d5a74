"""Damages files of other programs for a given time, and prints each new kind of wrong outcome with its seed.

Usage: python tests/faults/fuzz.py MINUTES [--seed SEED] [KIND...]: only kinds of files whose names begin so, such as
metamath, images, spec, llama; with a seed it tries that one alone, as often as one seed is tried.
Each seed runs in a process of its own, so that one that crashes, hangs or takes too much memory is named too.
"""

# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import resource
import secrets
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import hypothesis
from hypothesis import strategies as st

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

TRIALS = 150
"""Damages of one seed."""
SECONDS, WAITED = 300, 7200
"""Of one seed, of the processor and on the clock, for a busy machine; a reading takes milliseconds."""
MEMORY = 8 << 30
"""Bytes of address space of one seed; libraries alone take less than half."""


def tried(seed: int, kinds: list[str]) -> None:
    """Prints what was wrong with the damages of one seed, and how many there were of each outcome."""
    from faults.foreign.trial import TARGETS, trial

    among = [target for target in TARGETS if target.name.startswith(tuple(kinds or [""]))]

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    warnings.simplefilter("ignore")
    counts: dict[str, int] = {}
    everything = hypothesis.settings(
        max_examples=TRIALS, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    with tempfile.TemporaryDirectory() as root:

        @hypothesis.seed(seed)
        @everything
        @hypothesis.given(st.randoms(use_true_random=False))
        def damages(random: object) -> None:
            outcome, what = trial(random, Path(root), among)  # type: ignore[arg-type]
            counts[outcome] = counts.get(outcome, 0) + 1
            if what:
                print("wrong:", outcome, what.replace(root, "").replace("\n", " "), flush=True)

        damages()
    print("counts:", *(f"{outcome}={count}" for outcome, count in sorted(counts.items())))


def main(minutes: float, kinds: list[str]) -> None:
    """Tries fresh seeds until the time is over, and prints what they were."""
    end, seen, total = time.monotonic() + 60 * minutes, set[str](), dict[str, int]()
    while time.monotonic() < end:
        seed = secrets.randbelow(2**32)
        command = [sys.executable, __file__, "0", "--seed", str(seed), *kinds]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=WAITED, check=False)
            lines, status = done.stdout.splitlines(), done.returncode
            error = done.stderr.strip().splitlines()[-1:]
        except subprocess.TimeoutExpired:
            lines, status, error = [], "no end", []
        if status != 0:
            lines.append(f"wrong: process ended with {status} {' '.join(error)}")
        for line in lines:
            if line.startswith("counts: "):
                for outcome, count in (each.split("=") for each in line.split()[1:]):
                    total[outcome] = total.get(outcome, 0) + int(count)
            elif (kind := "".join(letter for letter in line if not letter.isdigit())) not in seen:
                seen.add(kind)
                print(f"{line} (seed {seed})", flush=True)
    print(f"{sum(total.values())} damages:", *(f"{count} {outcome}" for outcome, count in sorted(total.items())))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", type=float)
    parser.add_argument("--seed", type=int)
    parser.add_argument("kinds", nargs="*")
    given = parser.parse_intermixed_args()
    if given.seed is None:
        main(given.minutes, given.kinds)
    else:
        tried(given.seed, given.kinds)
