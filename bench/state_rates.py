"""The rates that weights of a study of states lead to, on its validation split, for each arm.

A pilot of `specs/figures/last-vs-depth-vib-real.toml`: a curve has to reach from the lower to the upper end of
`between`. States are read as by the study and stored in the same place, where the study reuses them; the test split is
not read. Take a seed that the study does not have.

Usage: python bench/state_rates.py SPEC RUNS SEED WEIGHT [WEIGHT ...]
"""

from __future__ import annotations

import sys
from pathlib import Path

from crt_nn.packed import pack_frozen
from crt_run.runs.contents import of_plan
from crt_run.runs.run import Run
from crt_run.training.ids import spread
from crt_run.training.objective import Inputs, trained
from crt_run.training.stages import build_dataset, prior_of
from crt_vib.state_codes.measure import measured
from crt_vib.state_codes.probes import examples
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
    dataset = build_dataset(plan, run)
    prior = prior_of("prior", plan, run, dataset)
    pack_frozen(prior)
    results = {"prior": prior}
    *_, bottleneck = plan.stages
    for stage in bottleneck.after:
        if stage.name == "appended":
            results[stage.name] = trained(Inputs(stage, dataset, results, run))
    inputs = Inputs(bottleneck, dataset, results, run)
    held, rows = examples(inputs)["validation"], []
    windows = len(spread(dataset.sizes["validation"], inputs.plan["experiment.validation"]))
    for weight in weights:
        numbers = measured(trained(inputs, weight), held, windows, 4, plan.seed, None)
        rows.append((weight, numbers["rate_nats"].value, numbers["distortion_nats"].value))
    return rows


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), [float(each) for each in sys.argv[4:]])
