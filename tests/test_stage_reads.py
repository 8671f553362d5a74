"""What a stage depends on is what it declares: without any one declared path it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from crt_run.runs.run import Run
from crt_run.training.objective import Inputs, built
from crt_run.training.stages import build_dataset
from crtcore import discover
from crtcore.compose.plan import load
from crtcore.errors import RunError
from crtcore.kinds import Plan, StagePlan

SPECS = Path(__file__).parents[1] / "specs"
FEW = ("dataset.train=64", "dataset.validation=16", "dataset.test=16")
STUDIES = {
    "two-stage": ("smoke.toml", ()),
    "compression": ("figures/rate-axis.toml", ()),
    "drafting": ("figures/crt-drafts.toml", ()),
    "decoding": ("figures/rsd.toml", ()),
    "rate-distortion": (
        "figures/meta-vs-last-vib.toml",
        (*FEW, "experiment.train=32", "experiment.validation=8", "experiment.test=8"),
    ),
    "latent-reasoning": ("figures/latent-strategies.toml", FEW),
    "text-codes": (
        "figures/text-chunks-crt.toml",
        ("dataset.samples=32", "dataset.dataset.length=32", "bottleneck.codes=8"),
    ),
    "scaling": ("figures/crt-scaling.toml", ()),
    "state-codes": (
        "figures/last-vs-depth-vib-real.toml",
        (
            "dataset={use='lists', lists=8, items=3, train=64, validation=16, test=16}",
            "prior={use='meta-transformer', layers=30, width=16, heads=2}",
            "training.prior={steps=1, batch=2}",
            *("bottleneck.width=16", "experiment.first=8"),
            *("experiment.train=32", "experiment.validation=8", "experiment.test=8"),
        ),
    ),
}
"""Experiment to a spec file, and what makes it small."""


def plan_of(experiment: str) -> Plan:
    spec, overrides = STUDIES[experiment]
    plan = load(SPECS / spec, discover(), overrides).points[0].plan
    assert discover().name(plan.experiment) == experiment
    return plan


def inputs_of(plan: Plan, runs: Path) -> Iterator[tuple[StagePlan, dict[str, Any], Any, Run]]:
    """Each stage with untrained results of the stages before it."""
    run = Run(plan, runs)
    run.folder.mkdir(parents=True)
    dataset, results = build_dataset(plan, run), {}
    for stage in plan.stages:
        yield stage, dict(results), dataset, run
        parts = built(Inputs(stage, dataset, results, run), *stage.repeats[:1]).parts
        results[stage.name] = next(iter(parts.values())).module.eval()


def test_every_experiment_is_tried() -> None:
    assert set(STUDIES) == set(discover().names("experiment"))


@pytest.mark.parametrize("experiment", STUDIES)
def test_a_stage_is_refused_without_any_one_path_that_it_declares(experiment: str, tmp_path: Path) -> None:
    tried = 0
    for stage, results, dataset, run in inputs_of(plan_of(experiment), tmp_path):
        for path in stage.reads:
            less = stage._replace(reads=tuple(each for each in stage.reads if each != path))
            with pytest.raises(RunError, match=f"^stage '{stage.name}' reads {path}.*, which its cache key does not"):
                built(Inputs(less, dataset, results, run), *stage.repeats[:1])
            tried += 1
        for before in stage.after:
            less = stage._replace(after=tuple(each for each in stage.after if each is not before))
            with pytest.raises(RunError, match="which its cache key does not hold"):
                built(Inputs(less, dataset, results, run), *stage.repeats[:1])
            tried += 1
    assert tried >= 6


@pytest.mark.parametrize("experiment", STUDIES)
def test_an_objective_of_declared_paths_alone_takes_a_step(experiment: str, tmp_path: Path) -> None:
    for stage, results, dataset, run in inputs_of(plan_of(experiment), tmp_path):
        objective = built(Inputs(stage, dataset, results, run), *stage.repeats[:1])

        assert torch.isfinite(objective.loss(0, 0.0).total)


def test_arms_that_differ_in_what_a_stage_declares_share_no_stage() -> None:
    """The offender: a plan whose prior did not declare its form would train two arms once."""
    points = load(SPECS / "figures" / "latent-strategies.toml", discover()).points
    keys = {str(point.plan.stages[-1].key): point.arm for point in points if point.plan.seed == points[0].plan.seed}

    assert len(keys) == len({point.arm for point in points})
    careless = {
        str(stage._replace(reads=tuple(path for path in stage.reads if not path.startswith("experiment."))).key)
        for point in points
        if point.plan.seed == points[0].plan.seed
        for stage in point.plan.stages[-1:]
    }
    assert len(careless) < len(keys)
