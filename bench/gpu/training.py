"""One real training on this GPU: the study of CRT's weight on `shapes`, three arms and three seeds, seed by seed.

Each seed runs the three arms through `crt run` and then keeps the study's table, so that a time limit takes only the
seed in hand. Without a GPU it says so, and writes nothing.

Usage: python bench/gpu/training.py [--spec FILE] [--seeds N] [--set KEY=VALUE ...]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import results
from kept import keep
from machine import here

SPEC = results.ROOT / "specs/figures/crt-lambda-shapes.toml"


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--spec", type=Path, default=SPEC)
    words.add_argument("--seeds", type=int, default=3)
    words.add_argument("--set", action="append", default=[], dest="overrides")
    given = words.parse_args()
    here()
    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as runs:
        for seeds in range(1, given.seeds + 1):
            began = time.perf_counter()
            study = run(given.spec, [f"sweep.seed={list(range(seeds))}", *given.overrides], Path(runs))
            seconds.append(round(time.perf_counter() - began, 1))
            kept = {name: study.get(name) for name in ("name", "arms", "claims", "ran_on", "error")}
            keep("training", {"seeds": seeds, "overrides": given.overrides, "seconds of each seed": seconds, **kept})
            print(f"seed {seeds - 1}: {seconds[-1]} s", flush=True)
    print(f"{len(study['arms'])} arms, {len(seconds)} seeds: {sum(seconds):.0f} s")


def run(spec: Path, overrides: list[str], runs: Path) -> dict[str, Any]:
    """The study's table; what ran before is not run again."""
    settings = [word for override in overrides for word in ("--set", override)]
    command = [sys.executable, "-m", "crtcore", "run", str(spec), "--runs", str(runs), "--json", *settings]
    ended = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if ended.returncode:
        raise SystemExit(f"crt run: status {ended.returncode}")
    study: dict[str, Any] = json.loads(ended.stdout)
    return study


if __name__ == "__main__":
    main()
