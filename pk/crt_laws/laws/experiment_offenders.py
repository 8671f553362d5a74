"""Experiments that break one law each: a sound one with one change."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import attrs
import torch

from crt_laws.laws.experiment_cases import Trial
from crtcore.kinds import Experiment, Findings, Measurement, Plan, Run

Wrap = Callable[[Experiment], Experiment]
"""Makes an experiment of a sound one."""


def planted(change: Wrap) -> Callable[[Trial], Trial]:
    """The trial of the changed experiment."""
    return lambda trial: attrs.evolve(trial, experiment=change(trial.experiment))


def with_number(findings: Findings, value: float) -> Findings:
    """The findings, and one number more."""
    return findings._replace(numbers={**findings.numbers, "another": Measurement(value, "units", 1)})


def counting_calls(inner: Experiment) -> Experiment:
    """Also returns how often it was called in its folder."""

    def call(plan: Plan, run: Run) -> Findings:
        with (run.folder / "calls").open("a", encoding="utf-8") as file:
            file.write("x")
        findings = inner(plan, run)
        return with_number(findings, len((run.folder / "calls").read_text(encoding="utf-8")))

    return call


def at_random(inner: Experiment) -> Experiment:
    """Also returns a number of torch's global generator."""

    def call(plan: Plan, run: Run) -> Findings:
        number = float(torch.rand(()))
        return with_number(inner(plan, run), number)

    return call


def deaf(inner: Experiment) -> Experiment:
    """Does not hear that it is to stop."""

    def call(plan: Plan, run: Run) -> Findings:
        run.stopping = lambda: False
        return inner(plan, run)

    return call


def not_finite(inner: Experiment) -> Experiment:
    """Also returns a number that is none."""
    return lambda plan, run: with_number(inner(plan, run), math.nan)


def one_point_twice(inner: Experiment) -> Experiment:
    """Returns its first point twice."""

    def call(plan: Plan, run: Run) -> Findings:
        findings = inner(plan, run)
        return findings._replace(points=[*findings.points, findings.points[0]])

    return call


def outcome_of_nothing(inner: Experiment) -> Experiment:
    """Returns an outcome of a number that it does not return."""

    def call(plan: Plan, run: Run) -> Findings:
        findings = inner(plan, run)
        return findings._replace(outcomes={**findings.outcomes, "nothing": next(iter(findings.outcomes.values()))})

    return call


def misspelt_figure(trial: Trial) -> Trial:
    """Draws a number that no point has."""
    return attrs.evolve(trial, figures=(trial.figures[0]._replace(numbers=("misspelt",)),))


def a_stage_too_many(trial: Trial) -> Any:
    """Plans a stage that it never opens."""
    return attrs.evolve(trial, declared=(*trial.declared, "unheard"))
