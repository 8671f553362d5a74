"""Drawing and scoring 50,000 samples in shards by worker processes, beside the run's own evaluation in one process.

The run is that of `metrics.py`, whose stages train for a step. Shards have the classes of the held-out samples, so that
the numbers must be those of the evaluation; the table has the largest relative difference.

Usage: python bench/shards.py [--samples N] [--workers N] [--json]
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from metrics import SPEC
from side_by_side import keep, options, show

import crtcore
from crt_run.executors.spec import Local
from crt_run.runs.execute import execute
from crt_run.shards import Scores, sample_shards, score_shards
from crt_run.training.ids import batches
from crtcore.compose.plan import load


def main() -> None:
    arguments = options("Draws and scores many samples in shards.", samples=50_000, workers=2)
    with tempfile.TemporaryDirectory() as folder:
        measured(arguments, Path(folder))


def measured(arguments: argparse.Namespace, folder: Path) -> None:
    count, seconds = arguments.samples, dict[str, float]()

    def timed(name: str, act: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        made = act()
        seconds[name] = time.perf_counter() - start
        return made

    spec = folder / "metrics.toml"
    spec.write_text(SPEC.format(samples=count, size=count))
    (point,) = load(spec, crtcore.discover()).points
    timed("the run's own evaluation, one process", lambda: execute(point.plan, folder / "runs"))
    run = crtcore.load_run("metrics", folder / "runs")
    dataset, workers = run.plan.parts["dataset"].build(), Local(workers=arguments.workers)
    known = [batch.class_ids for batch in batches(dataset, "test", torch.arange(count))]
    class_ids = None if dataset.classes is None else torch.cat(known)
    draws = timed(
        "draws in shards", lambda: sample_shards(run, folder / "out", count, class_ids=class_ids, executor=workers)
    )
    scores: Scores = timed("scores of the shards", lambda: score_shards(run, draws.folder, executor=workers))
    apart = max(abs(each.value / run.results[name].value - 1) for name, each in scores.numbers.items())
    print(f"torch {torch.__version__}, {count:,} samples of 32 by 32, {arguments.workers} workers, crt-basics' metrics")
    show(("", "seconds"), [(name, f"{each:.0f}") for name, each in seconds.items()])
    print(f"largest relative difference of {len(scores.numbers)} numbers: {apart:.1e}")
    keep("shards", [], {**{f"{name}, seconds": each for name, each in seconds.items()}, "difference": apart}, arguments)


if __name__ == "__main__":
    main()
