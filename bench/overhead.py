"""What the framework adds: to a training step, to a point of a sweep, and to `crt list` with each plugin.

* A stage by the training loop of crt-run, in turns with a loop by hand (`bare_loop.py`): blocks of 200 steps, each with
  the checkpoints and readings that fall into it. The first block does not count. The goal is at most 2 % of a step
  of 5 ms.
* Sweeps of points that do nothing (`trivial.py`), each in a process of its own, with a report at the end. The goal is
  at most 50 ms a point, in a line, and as much memory in the process that hands out the points.
* `crt list` in a process of its own, with plugins of one component each beside those of this repository. The goal is
  at most 300 ms with 50 of them.

Usage: python bench/overhead.py [--steps N] [--points N] [--plugins N] [--rounds N] [--threads N] [--json]
"""

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bare_loop import in_turns
from side_by_side import Spread, keep, options, ratio, show, spread
from trivial import listing, sweep, write_experiment, write_plugins

Row = tuple[str, str, str, str]


def main() -> None:
    arguments = options("What the framework adds.", steps=2000, points=1000, plugins=50)
    numbers: dict[str, float | Spread] = {}
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        rows = [
            *stages(arguments, top, numbers),
            *sweeps(arguments, top, numbers),
            *lists(arguments, top, numbers),
        ]
    show(("", "elapsed", "processor", "goal"), rows)
    sizes = {name: getattr(arguments, name) for name in ("steps", "points", "plugins")}
    keep("overhead", [], sizes | numbers, arguments)


def stages(arguments: argparse.Namespace, top: Path, numbers: dict[str, float | Spread]) -> Iterator[Row]:
    block = 200
    for stage in ("tokenizer", "prior"):
        turns = in_turns(stage, top / stage, steps=arguments.steps, block=block)
        cells = []
        for field in ("elapsed", "used"):
            ours, bare = ([getattr(each, field) / block * 1e3 for each in loop[1:]] for loop in turns)
            over = ratio(ours, bare)
            added = spread([one - other for one, other in zip(ours, bare, strict=True)])
            what = f"{stage}, {'elapsed' if field == 'elapsed' else 'processor'}"
            numbers |= {f"{what}, bare, milliseconds": spread(bare), f"{what}, added, milliseconds": added}
            numbers[f"{what}, ours / bare"] = over
            cells.append(f"{statistics.median(bare):.2f} ms, {over:.3f} times it")
        yield f"a step of the {stage}, bare, and ours", cells[0], cells[1], "1.020"


def sweeps(arguments: argparse.Namespace, top: Path, numbers: dict[str, float | Spread]) -> Iterator[Row]:
    site = write_experiment(top / "experiment")
    counts = [arguments.points // 4, arguments.points // 2, arguments.points]
    taken = {count: sweep(site, top / f"sweep-{count}", count) for count in counts}
    for count, each in taken.items():
        numbers |= {f"{count} points, {name}": value for name, value in each._asdict().items()}
        yield (
            f"a sweep of {count:,} points", f"{each.elapsed / count * 1e3:.1f} ms a point",
            f"{each.used / count * 1e3:.1f} ms a point", "50 ms",
        )  # fmt: skip
    few, half, many = (taken[count] for count in counts)
    for name, early, late in (("first", few, half), ("second", half, many)):
        elapsed, used = (
            (getattr(late, field) - getattr(early, field)) / (late.points - early.points) * 1e3
            for field in ("elapsed", "used")
        )
        numbers |= {f"{name} half, milliseconds a further point": elapsed, f"{name} half, processor": used}
        further = f"from {early.points:,} to {late.points:,} points"
        yield further, f"{elapsed:.1f} ms a further point", f"{used:.1f} ms a further point", "equal"
    numbers["memory, most / fewest points"] = many.memory / few.memory
    peaks = f"{few.memory:.0f} MiB", f"{many.memory:.0f} MiB"
    yield f"peak memory with {counts[0]:,} and {counts[2]:,} points", *peaks, "equal"


def lists(arguments: argparse.Namespace, top: Path, numbers: dict[str, float | Spread]) -> Iterator[Row]:
    for count in (0, arguments.plugins):
        site = write_plugins(top / f"plugins-{count}", count)
        taken = [listing(site) for _ in range(arguments.rounds + 1)][1:]  # the first one compiles the sources
        elapsed, used = (spread([each[place] * 1e3 for each in taken]) for place in (0, 1))
        numbers |= {f"list, {count} plugins, elapsed": elapsed, f"list, {count} plugins, processor": used}
        yield f"`crt list` with {count} further plugins", f"{elapsed:.0f} ms", f"{used:.0f} ms", "300 ms"


if __name__ == "__main__":
    main()
