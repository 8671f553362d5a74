"""Times several ways to do the same, in turns in one process; prints a table, and writes it to `results` on request."""

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
    """Median and range of a number that was measured several times."""

    median: float
    least: float
    most: float

    def __format__(self, form: str) -> str:
        return f"{self.median:{form}} ({self.least:{form}} to {self.most:{form}})"


def spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))


def ratio(over: Sequence[float], under: Sequence[float]) -> Spread:
    """The ratio in each round, so that a slow moment of the machine affects both sides."""
    return spread([a / b for a, b in zip(over, under, strict=True)])


def seconds(
    arms: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of each arm in each round, after a warm-up round that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(rounds + 1):
        for name, act in arms.items():
            start = clock()
            act()
            if turn:
                taken[name].append(clock() - start)
    return taken


def options(about: str, **numbers: int) -> argparse.Namespace:
    """Parses the command line: an integer for each keyword, rounds, threads, and whether to keep the table."""
    parser = argparse.ArgumentParser(description=about)
    for name, default in (numbers | {"rounds": 5, "threads": 1}).items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")
    parser.add_argument("--json", action="store_true", help="keep the table under bench/results")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    return arguments


def show(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        first, *rest = (cell.ljust(width) if not at else cell.rjust(width) for at, (cell, width) in cells(row, widths))
        print("  ".join((first, *rest)))


def cells(row: Sequence[str], widths: Sequence[int]) -> Any:
    return enumerate(zip(row, widths, strict=True))


def keep(name: str, peers: Sequence[str], numbers: Mapping[str, Any], arguments: argparse.Namespace) -> None:
    """Writes `numbers` with the machine and versions, if `--json` was given."""
    if not arguments.json:
        return
    about = {
        "name": name,
        "command": shlex.join(("python", *sys.argv)),
        "versions": versions() | {peer: version(peer) for peer in peers},
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, {platform.system()}",
        "device": "cpu",
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "git": git_state(),
    }
    plain = {key: value._asdict() if isinstance(value, Spread) else value for key, value in numbers.items()}
    RESULTS.joinpath(f"{name}.json").write_text(json.dumps(about | {"numbers": plain}, indent=2) + "\n")
