"""A prior trained once at a constant step size, with a cool-down off that training for each length."""

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


class Course(NamedTuple):
    """What the stages of one prior are called, depend on and minimise."""

    name: str
    reads: tuple[str, ...]
    plan: Plan
    """The plan that is read: that of the prior's tokenizer."""
    training: Training
    objective: Callable[[int, float], Loss]


def cooling(training: Training, length: int) -> Training:
    """A training of `length` steps whose step size stays at its peak until the cool-down and falls to 0 from there."""
    optimizer = attrs.evolve(training.optimizer, warmup=branch(length) / length, decay="cosine")
    return attrs.evolve(training, steps=length, optimizer=optimizer)


def cooled(prior: nn.Module, course: Course, lengths: tuple[int, ...], run: Run) -> Iterator[int]:
    """Each length in turn, at which `prior` has been trained for so many steps and cooled down.

    Raises: Stopped once it has saved, RunError if a loss is not finite.
    """
    saved = None
    for length in lengths:
        end = branch(length)
        prior.train()
        with run.stage(f"{course.name}-to-{end}", course.reads, course.plan) as stage:
            part = {"prior": Part(prior, course.training.optimizer)}
            fit(stage, part, course.training, course.objective, step_range=StepRange(saved, end))
            saved = stage.latest()
        training = cooling(course.training, length)
        with run.stage(f"{course.name}-cooled-{length}", course.reads, course.plan) as stage:
            part = {"prior": Part(prior, training.optimizer)}
            fit(stage, part, training, course.objective, step_range=StepRange(saved))
        prior.eval()
        yield length
