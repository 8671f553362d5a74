"""A prior trained once at a constant learning rate, with a cool-down that branches off for each training length."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from crt_run.training.objective import Inputs, Objective
from crt_run.training.stages import code_prior, modelling
from crt_run.training.trainer import Part, StepRange, fit
from crt_scaling.spec import branch
from crtcore.kinds import Run, StagePlan
from crtcore.settings import Training


def cooling(training: Training, length: int) -> Training:
    """A training of `length` steps whose learning rate stays at its peak until the cool-down, then falls to 0."""
    optimizer = attrs.evolve(training.optimizer, warmup=branch(length) / length, decay="cosine")
    return attrs.evolve(training, steps=length, optimizer=optimizer)


def prior_objective(inputs: Inputs) -> Objective:
    """The objective of one prior of the study, which is not validated."""
    plan, path = inputs.plan, f"prior.{inputs.stage.name.rpartition('-')[2]}"
    prior, training = code_prior(inputs, path), plan["training.prior"]
    loss = modelling(prior, inputs.codes("train"), seed=plan["seed"], role="prior", batch=training.batch)
    return Objective({"prior": Part(prior, training.optimizer)}, loss, inputs.tokenizer.length)


def cooled(stage: StagePlan, objective: Objective, lengths: tuple[int, ...], run: Run) -> Iterator[int]:
    """Yields each length once the prior has been trained for as many steps, the last of them a cool-down.

    Raises: Stopped after a save, RunError if a loss is not finite.
    """
    saved, prior = None, objective.parts["prior"].module
    for length in lengths:
        end = branch(length)
        prior.train()
        with run.stage(stage, f"to-{end}") as opened:
            fit(opened, objective.parts, stage.training, objective.loss, step_range=StepRange(saved, end))
            saved = opened.latest()
        training = cooling(stage.training, length)
        with run.stage(stage, f"cooled-{length}") as opened:
            parts = {"prior": Part(prior, training.optimizer)}
            fit(opened, parts, training, objective.loss, step_range=StepRange(saved))
        prior.eval()
        yield length
