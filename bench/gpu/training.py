"""A study that trains on this GPU, seed by seed: that of CRT's weight on `shapes`, or another.

Each seed runs all arms through `crt run`, at the same time where there are processors for it. Each point is kept
as it ends and the study's table after each seed, so that a time limit loses only unfinished points. Without a GPU it
prints so, and writes nothing.

Each study has a result of its own: `gpu-training-NAME.json`, by the file's name.

Usage: python bench/gpu/training.py [--spec FILE] [--seeds N] [--set KEY=VALUE ...]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import results
from kept import keep
from machine import here

SPEC = results.ROOT / "specs/figures/crt-lambda-shapes.toml"
VARIED = ("tokenizer", "bottleneck", "regularizer", "prior")
"""Tables in which the points of these studies differ."""
OFTEN = 0.5
"""Seconds between two looks for finished points."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=Path, default=SPEC)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    arguments = parser.parse_args()
    here()
    name = f"training-{arguments.spec.stem}"
    kept: dict[str, Any] = {"overrides": arguments.overrides, "points": [], "seconds of each seed": []}
    with tempfile.TemporaryDirectory() as runs:

        def look() -> None:
            finished = points(Path(runs))
            if len(finished) > len(kept["points"]):
                kept["points"] = finished
                keep(name, kept, script="training")

        for seeds in range(1, arguments.seeds + 1):
            began = time.perf_counter()
            study = run(arguments.spec, [f"sweep.seed={list(range(seeds))}", *arguments.overrides], Path(runs), look)
            kept["seconds of each seed"].append(round(time.perf_counter() - began, 1))
            kept["study"] = {key: study.get(key) for key in ("name", "arms", "claims", "ran_on", "error")}
            keep(name, kept, script="training")
            print(f"seed {seeds - 1}: {kept['seconds of each seed'][-1]} s", flush=True)
    seconds = sum(kept["seconds of each seed"])
    print(
        f"{len(kept['points'])} points of {len(kept['study']['arms'])} arms "
        f"and {arguments.seeds} seeds: {seconds:.0f} s"
    )


def run(spec: Path, overrides: list[str], runs: Path, look: Callable[[], None]) -> dict[str, Any]:
    """The table of the study, with a regular look for finished points; finished points do not run again."""
    settings = [word for override in overrides for word in ("--set", override)]
    command = [sys.executable, "-m", "crt_cli", "run", str(spec), "--runs", str(runs), "--json", *settings]
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output)
        while process.poll() is None:
            time.sleep(OFTEN)
            look()
        if process.returncode:
            raise SystemExit(f"crt run: status {process.returncode}")
        look()
        output.seek(0)
        study: dict[str, Any] = json.load(output)
        return study


def points(runs: Path) -> list[dict[str, Any]]:
    """Finished points: their parts, the seed, and the numbers."""
    rows = []
    for path in sorted(runs.glob("*/*/result.json")):
        spec, result = tomllib.loads((path.parent / "spec.toml").read_text()), json.loads(path.read_text())
        numbers = {name: number["value"] for name, number in result["numbers"].items()}
        parts = {role: spec[role] for role in VARIED if role in spec}
        rows.append({"parts": parts, "seed": result["seed"], "numbers": numbers})
    return rows


if __name__ == "__main__":
    main()
