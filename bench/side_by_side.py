"""Ways to do the same, timed in turns in one process: one table, and one file in `results` on request."""

import argparse
import json
import os
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch

from crt_run.runs.provenance import git_state, versions

RESULTS = Path(__file__).parent / "results"


class Spread(NamedTuple):
    """A number that was taken several times."""

    median: float
    least: float
    most: float

    def __format__(self, form: str) -> str:
        return f"{self.median:{form}} ({self.least:{form}} to {self.most:{form}})"


def spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))


def ratio(over: Sequence[float], under: Sequence[float]) -> Spread:
    """Round by round, so that a slow moment of the machine falls out."""
    return spread([a / b for a, b in zip(over, under, strict=True)])


def seconds(arms: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """What each arm took in each round; the first, unmeasured one warms them up."""
    taken: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(rounds + 1):
        for name, act in arms.items():
            start = time.perf_counter()
            act()
            if turn:
                taken[name].append(time.perf_counter() - start)
    return taken


def options(about: str, **numbers: int) -> argparse.Namespace:
    """The command line: a whole number for each keyword, rounds, threads, and whether to keep the table."""
    parser = argparse.ArgumentParser(description=about)
    for name, default in (numbers | {"rounds": 5, "threads": 1}).items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")
    parser.add_argument("--json", action="store_true", help="keep the table under bench/results")
    told = parser.parse_args()
    torch.set_num_threads(told.threads)
    return told


def show(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        first, *rest = (cell.ljust(width) if not at else cell.rjust(width) for at, (cell, width) in cells(row, widths))
        print("  ".join((first, *rest)))


def cells(row: Sequence[str], widths: Sequence[int]) -> Any:
    return enumerate(zip(row, widths, strict=True))


def keep(name: str, peers: Sequence[str], numbers: Mapping[str, Any], told: argparse.Namespace) -> None:
    """Writes `numbers` with what they were taken on, if that was asked for."""
    if not told.json:
        return
    about = {
        "name": name,
        "command": shlex.join(("python", *sys.argv)),
        "versions": versions() | {peer: version(peer) for peer in peers},
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, {platform.system()}",
        "device": "cpu",
        "threads": told.threads,
        "rounds": told.rounds,
        "git": git_state(),
    }
    plain = {key: value._asdict() if isinstance(value, Spread) else value for key, value in numbers.items()}
    RESULTS.joinpath(f"{name}.json").write_text(json.dumps(about | {"numbers": plain}, indent=2) + "\n")
