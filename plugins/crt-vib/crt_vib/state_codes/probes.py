"""The training of a bottleneck that reads stored states, and what it reads."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from crt_run.training.objective import Inputs, Objective
from crt_vib.rate_distortion.probe_training import objective_of
from crt_vib.rate_distortion.states import Examples
from crt_vib.state_codes.places import classes_of, places_of
from crt_vib.state_codes.predictor import Predictor, rows_of, shares_of
from crt_vib.state_codes.stored import Trunk, answers, stored
from crt_vib.state_codes.trunk import checked
from crtcore.kinds import Run, StagePlan, View


def trunk_of(plan: View, prior: Any, dataset: Any, embedding: Any = None) -> Trunk:
    """What a plan declares that states are read of.

    Raises: RunError if the layers of the prior cannot be read.
    """
    places, layers = places_of(plan), plan["experiment.layers"]
    classes = classes_of(dataset, plan["experiment.train"], places, plan["experiment.answers"])
    return Trunk(checked(prior, layers), dataset, places, layers, plan["experiment.recent"], classes, embedding)


def examples_of(trunk: Trunk, run: Run, stage: StagePlan, plan: View, split: str) -> Examples:
    """The states of the plan's layer and place in a split, and the classes of their answers, on the run's device."""
    rows, place, layer = plan[f"experiment.{split}"], plan["experiment.place"], plan["experiment.layer"]
    states = stored(trunk, run, stage, split, rows)[f"{place}-{layer}"].float()
    return Examples(states.to(run.device), answers(trunk, split, rows, plan["experiment.distance"]).to(run.device))


def material(inputs: Inputs) -> dict[str, Any]:
    """Examples of the splits `train` and `validation`, and what makes a `predictor` from the channels of a code.

    Raises: RunError as `trunk_of`, Stopped between two passes.
    """
    assert inputs.run is not None
    appended = inputs.result("appended").vector.detach() if inputs.plan["experiment.place"] == "appended" else None
    prior = inputs.result("prior")
    trunk = trunk_of(inputs.plan, prior, inputs.dataset, appended)
    plan = inputs.stage.plan
    stage = plan.experiment.states_stage(plan)  # type: ignore[attr-defined]
    splits = {split: examples_of(trunk, inputs.run, stage, inputs.plan, split) for split in ("train", "validation")}
    shares = shares_of(splits["train"].answers.cpu(), trunk.classes.size)
    return {**splits, "predictor": partial(Predictor, rows=rows_of(prior, trunk.classes).cpu(), shares=shares)}


def probe_objective(inputs: Inputs, weight: float) -> Objective:
    """The objective of a probe of stored states for one weight of its regulariser; it predicts by the model's own rows.

    Raises: RunError if the bottleneck takes features of another width than the states have.
    """
    count, vocabulary = inputs.plan["experiment.answers"], inputs.dataset.vocabulary
    size = count + 1 if 0 < count < vocabulary else vocabulary
    if (known := inputs.material) is not None:
        return objective_of(inputs, weight, size, known["predictor"])
    rows, shares = torch.ones(size, inputs.plan["bottleneck"].width), torch.ones(size).double()
    return objective_of(inputs, weight, size, partial(Predictor, rows=rows, shares=shares))
