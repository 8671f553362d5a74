"""The cost of each stage of a plan: builds its parts without contents and traces one step of each.

Axes: b batch, n ids of a sample.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import NamedTuple

import attrs
from torch import Tensor, nn

from crt_cost.blank import blank
from crt_cost.ranks import Layout, Memory, layout
from crt_cost.trace import Trace, traced
from crt_run.training.objective import Inputs, Objective, StepKind, built
from crt_run.training.outline import BlankData, Outline
from crtcore.errors import RunError, in_one_line
from crtcore.kinds import Plan, StagePlan
from crtcore.settings import Training

END = StepKind(step=0, progress=1.0, steps=1)
"""The end of training, where every regulariser is active."""


class StageCost(NamedTuple):
    """The cost of training one stage, without validation and everything after it."""

    stage: str
    training: Training
    parameters: Mapping[str, int]
    """Part to the number of its parameters, including frozen ones."""
    flops: float
    """Of all steps."""
    ids: int
    """Of a sample."""
    memory: Memory
    obstacle: str | None
    """Why the step could not be traced; then `flops` are 6 times parameters times ids."""
    left_out: tuple[str, ...]
    """Regularisers that could not be built, with reasons; no number includes them."""
    steps: int
    """Of all trainings of the stage."""
    layout: Layout
    """What training over ranks shares out."""

    @property
    def ids_in_training(self) -> int:
        """Of all samples of all steps."""
        return self.ids * self.training.batch * self.steps


def costs(plan: Plan, data: Outline) -> list[StageCost]:
    """The cost of each stage that a run of `plan` trains; tensors have no contents and take no memory.

    Raises: RunError if a part cannot be built.
    """
    stages: list[StageCost] = []
    results: dict[str, nn.Module] = {}
    with blank():
        for stage in plan.stages:
            objective = built(Inputs(stage, BlankData(data, stage.training.batch), results), *stage.repeats[:1])
            results[stage.name] = next(iter(objective.parts.values())).module
            stages.append(_cost(stage, objective))
    return stages


def shared(plan: Plan, ranks: int) -> Plan:
    """The plan as the rank with the most samples trains it: with its share of each batch.

    Raises: RunError if a rank would have none.
    """
    for name, training in plan.training.items():
        if training.batch < ranks:
            raise RunError(
                f"training.{name}.batch: expected a sample for each of {ranks:,} devices, got {training.batch}"
            )
    shares = {name: attrs.evolve(each, batch=-(-each.batch // ranks)) for name, each in plan.training.items()}
    return attrs.evolve(plan, training=shares)


def _cost(stage: StagePlan, objective: Objective) -> StageCost:
    """The cost of a stage: memory at the end of training, when every regulariser is active, FLOPs by kinds of steps."""
    own, training = _own(objective), stage.training
    weights = [weight for each in own.values() for weight in each]
    buffers = [each for part in objective.parts.values() for each in part.module.buffers()]
    parameters = {name: sum(weight.numel() for weight in each) for name, each in own.items()}
    learning = sum(weight.nbytes for weight in weights if weight.requires_grad)
    held, precision = [*weights, *buffers], training.precision
    trace, obstacle = _traced(objective, held, precision)
    flops: float = 6 * sum(parameters.values()) * objective.ids * training.batch
    if trace is not None:
        kinds = objective.step_kinds() or [END]
        each_flops = [(_traced(objective, held, precision, kind)[0] or trace).flops for kind in kinds]
        counts = [kind.steps for kind in kinds]
        flops = sum(map(operator.mul, counts, each_flops)) / sum(counts)
    return StageCost(
        stage=stage.name,
        training=training,
        parameters=parameters,
        flops=float(stage.steps) * flops,
        ids=objective.ids,
        memory=Memory(
            weights=sum(each.nbytes for each in (*weights, *buffers)),
            gradients=learning,
            optimizer=2 * learning,  # AdamW keeps two moments
            activations=None if trace is None else trace.kept,
        ),
        obstacle=obstacle,
        left_out=objective.left_out,
        steps=stage.steps,
        layout=layout([part.module for part in objective.parts.values()]),
    )


def _own(objective: Objective) -> dict[str, list[nn.Parameter]]:
    """The parameters of each part, without those of the parts before it."""
    seen: set[int] = set()
    own: dict[str, list[nn.Parameter]] = {}
    for name, part in objective.parts.items():
        own[name] = [weight for weight in part.module.parameters() if id(weight) not in seen]
        seen |= {id(weight) for weight in own[name]}
    return own


def _traced(
    objective: Objective, weights: list[Tensor], precision: str, kind: StepKind = END
) -> tuple[Trace | None, str | None]:
    """The trace of a step, or why it failed: a component's code may do anything to blank tensors."""
    try:
        return traced(lambda: objective.loss(kind.step, kind.progress).total, weights, precision=precision), None
    except Exception as error:
        return None, in_one_line(error)
