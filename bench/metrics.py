"""Peak memory of scoring many generated images beside few: both stages untrained, `shapes` of 32 by 32, all metrics.

Each arm is a process of its own. It fits the metrics on as many training images as it scores, as their floors need,
then generates, decodes and scores held-out images in batches. The goal is at most 1.2 times the memory for 25 times
the images.

Usage: python bench/metrics.py [--many N] [--few N] [--rounds N] [--threads N] [--json]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from side_by_side import keep, options, ratio, show, spread

SPEC = """
name = "metrics"
[experiment]
use = "two-stage"
samples = {samples}
[dataset]
use = "shapes"
size = 32
train = {size}
validation = 2
test = {size}
[tokenizer]
use = "conv"
channels = 8
[bottleneck]
use = "vq"
codes = 16
[prior]
use = "table"
order = 1
[decoder]
use = "ancestral"
[[metric]]
use = "code-length"
[[metric]]
use = "frechet"
[[metric]]
use = "kernel-distance"
[training.tokenizer]
steps = 1
batch = 2
[training.prior]
steps = 1
batch = 2
"""
"""Data sets are of one size; `samples` of them are scored."""


def main() -> None:
    if sys.argv[1:2] == ["child"]:
        print(json.dumps(scored(*map(int, sys.argv[2:]))))
        return
    arguments = options("Memory of scoring many images beside few.", many=50_000, few=2_000)
    arms = {name: getattr(arguments, name) for name in ("many", "few")}
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in arms}
    for _ in range(arguments.rounds):
        for name, samples in arms.items():
            taken[name].append(child(samples, arguments.many, arguments.threads))
    report(arguments, arms, taken)


def child(samples: int, size: int, threads: int) -> dict[str, Any]:
    """Scores in a fresh process."""
    command = [sys.executable, __file__, "child", *map(str, (samples, size, threads))]
    measured: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return measured


def scored(samples: int, size: int, threads: int) -> dict[str, Any]:
    """Scores `samples` images of `size`; returns the peak of resident memory in MiB, seconds and numbers."""
    import crtcore
    from crt_run.runs.execute import execute
    from crtcore.compose.plan import load

    torch.set_num_threads(threads)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "metrics.toml"
        spec.write_text(SPEC.format(samples=samples, size=size))
        (point,) = load(spec, crtcore.discover()).points
        numbers = execute(point.plan, Path(folder) / "runs")["numbers"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"peak": peak, "seconds": time.perf_counter() - start, "numbers": numbers}


def report(arguments: argparse.Namespace, arms: dict[str, int], taken: dict[str, list[dict[str, Any]]]) -> None:
    rows, numbers = [], dict[str, Any](arms)
    for name, rounds in taken.items():
        peak, seconds = (spread([each[what] for each in rounds]) for what in ("peak", "seconds"))
        rows.append((f"{arms[name]:,} images", f"{peak:.0f}", f"{seconds:.0f}"))
        numbers |= {f"{name}, peak MiB": peak, f"{name}, seconds": seconds}
    more = ratio(*([each["peak"] for each in taken[name]] for name in ("many", "few")))
    print(f"torch {torch.__version__}, {arguments.threads} threads, all metrics of crt-basics")
    print(f"medians (least to most) of {arguments.rounds} rounds")
    show(("", "peak MiB", "seconds"), rows)
    print(f"memory of {arms['many']:,} / {arms['few']:,}: {more:.3f}; the goal is at most 1.2")
    keep("metrics", [], {**numbers, "memory ratio": more}, arguments)


if __name__ == "__main__":
    main()
