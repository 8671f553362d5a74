"""A prior trained once at a constant learning rate, with a cool-down that branches off for each training length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import attrs
from torch import nn

from crt_run.training.losses import Loss
from crt_run.training.trainer import Part, StepRange, fit
from crt_scaling.spec import branch
from crtcore.kinds import Plan, Run
from crtcore.settings import Training


class Schedule(NamedTuple):
    """The stages of one prior: their name, what they depend on, and what they minimise."""

    name: str
    """The prefix of the stages' names."""
    reads: tuple[str, ...]
    """Paths of the plan that make the stages' cache keys."""
    plan: Plan
    """The plan of the prior's tokenizer."""
    training: Training
    objective: Callable[[int, float], Loss]


def cooling(training: Training, length: int) -> Training:
    """A training of `length` steps whose learning rate stays at its peak until the cool-down, then falls to 0."""
    optimizer = attrs.evolve(training.optimizer, warmup=branch(length) / length, decay="cosine")
    return attrs.evolve(training, steps=length, optimizer=optimizer)


def cooled(prior: nn.Module, schedule: Schedule, lengths: tuple[int, ...], run: Run) -> Iterator[int]:
    """Yields each length once `prior` has been trained for as many steps, the last of them a cool-down.

    Raises: Stopped after a save, RunError if a loss is not finite.
    """
    saved = None
    for length in lengths:
        end = branch(length)
        prior.train()
        with run.stage(f"{schedule.name}-to-{end}", schedule.reads, schedule.plan) as stage:
            part = {"prior": Part(prior, schedule.training.optimizer)}
            fit(stage, part, schedule.training, schedule.objective, step_range=StepRange(saved, end))
            saved = stage.latest()
        training = cooling(schedule.training, length)
        with run.stage(f"{schedule.name}-cooled-{length}", schedule.reads, schedule.plan) as stage:
            part = {"prior": Part(prior, training.optimizer)}
            fit(stage, part, training, schedule.objective, step_range=StepRange(saved))
        prior.eval()
        yield length
