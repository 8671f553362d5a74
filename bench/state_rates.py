"""The rates that weights of a study of states lead to, on its validation split, for each arm.

A pilot of `specs/figures/last-vs-depth-vib-real.toml`: a curve has to reach from the lower to the upper end of
`between`. States are read as by the study and stored in the same place, where the study reuses them; the test split is
not read. Take a seed that the study does not have.

Usage: python bench/state_rates.py SPEC RUNS SEED WEIGHT [WEIGHT ...]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from crt_run.runs.contents import of_plan
from crt_run.runs.run import Run
from crt_run.training.ids import spread
from crt_run.training.objective import trained
from crt_vib.state_codes.experiment import bottleneck_inputs
from crt_vib.state_codes.measure import measured
from crtcore import discover
from crtcore.compose.plan import load
from crtcore.kinds import Plan


def main(spec: Path, runs: Path, seed: int, weights: list[float]) -> None:
    """Trains a probe for each weight of each arm, and prints its row."""
    print(f"{'arm':<14}{'weight':>8}{'rate':>8}{'distortion':>12}", flush=True)
    for point in load(spec, discover(), [f"sweep.seed=[{seed}]"]).points:
        for weight, rate, distortion in curve(of_plan(point.plan, runs), runs, weights):
            print(f"{point.arm:<14}{weight:8g}{rate:8.3f}{distortion:12.3f}", flush=True)


def curve(plan: Plan, runs: Path, weights: list[float]) -> list[tuple[float, float, float]]:
    """Weight, rate and distortion in nats, on the validation split."""
    run = Run(plan, runs)
    run.folder.mkdir(parents=True, exist_ok=True)
    experiment: Any = plan.experiment
    inputs = bottleneck_inputs(plan, run, experiment.layers)
    held, rows = inputs.material["validation"], []
    windows = len(spread(inputs.dataset.sizes["validation"], experiment.validation))
    for weight in weights:
        numbers = measured(trained(inputs, weight), held, windows, 4, plan.seed, None)
        rows.append((weight, numbers["rate_nats"].value, numbers["distortion_nats"].value))
    return rows


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), [float(each) for each in sys.argv[4:]])
