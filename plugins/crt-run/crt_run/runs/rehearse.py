"""A rehearsal: every stage, file, shape and metric of a plan on a few samples, before anything is trained for long."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from crt_run.faults import at_fault
from crt_run.runs.execute import try_out
from crt_run.runs.scratch import scratch
from crtcore.compose.study import Point, Study
from crtcore.errors import RunError
from crtcore.kinds import Plan, RegularizerSpec

STEPS = 2
"""Steps of each training: the second one is not the first, where a loss may start late."""
BATCH = 2


def rehearse(study: Study, points: Iterable[Point]) -> dict[str, float]:
    """Rehearses points, one of those that differ in their seed alone; returns the seconds that each took.

    Raises: RunError with what stops each of them.
    """
    groups = {point.group: point for point in points}
    seconds, problems = {}, []
    for group, point in groups.items():
        began = time.perf_counter()
        try:
            rehearse_plan(point.plan)
        except RunError as error:
            problems.append(f"{group}: {error}" if study.swept else str(error))
        seconds[group] = time.perf_counter() - began
    if problems:
        raise RunError("\n".join(problems))
    return seconds


def rehearse_plan(plan: Plan) -> None:
    """Runs a plan with few samples and steps in a folder that is then deleted.

    Raises: RunError if it cannot run, whatever stops it.
    """
    on = ""
    with scratch() as folder:
        try:
            small, few = shortened(plan)
            on = f" on {few} samples"
            try_out(small, folder, few)
        except RunError:
            raise
        except (Exception, SystemExit, GeneratorExit) as error:
            raise RunError(f"rehearsal{on}: {at_fault(error)}") from error


def shortened(plan: Plan) -> tuple[Plan, int]:
    """The plan that a rehearsal runs, and the samples of each split that it reads."""
    experiment, few = plan.experiment.rehearsed()
    metrics = [part for part in _parts(plan.parts) if part.kind == "metric"]
    training = {
        stage: attrs.evolve(
            each, steps=STEPS, batch=min(each.batch, BATCH), accumulate=min(each.accumulate, BATCH), compile=False
        )
        for stage, each in plan.training.items()
    }
    parts = {role: _due(part) for role, part in plan.parts.items()}
    return attrs.evolve(plan, experiment=experiment, training=training, parts=parts), max(
        [few, *(part.least for part in metrics)]
    )


def _due(part: Any) -> Any:
    """A part whose regularisers each have their loss in one of the steps."""
    if isinstance(part, tuple):
        return tuple(map(_due, part))
    if isinstance(part, RegularizerSpec):
        return attrs.evolve(part, every=min(part.every, STEPS), last=max(part.last, 1 / STEPS))
    return part


def _parts(parts: Mapping[str, Any]) -> list[Any]:
    return [each for part in parts.values() for each in (part if isinstance(part, tuple) else (part,)) if each]
