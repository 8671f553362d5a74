"""The cost of each stage of a plan: builds its parts without contents and traces one step of each.

Axes: b batch, n ids of a sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from crt_cost.blank import blank
from crt_cost.trace import Trace, traced
from crt_run.likelihood import nats
from crt_run.training.losses import penalised
from crtcore.errors import RunError, in_one_line
from crtcore.kinds import DatasetSpec, Outline, Plan, PriorSpec, Regularizer, Role, Step
from crtcore.settings import Training


class Memory(NamedTuple):
    """Bytes of a stage in training."""

    weights: int
    """Including frozen weights and buffers."""
    gradients: int
    optimizer: int
    activations: int | None
    """An estimate of what a step keeps for its gradient; None if the step could not be traced."""


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
    times: int
    """How often a run trains the stage."""

    @property
    def ids_in_training(self) -> int:
        """Of all samples of all steps."""
        return self.ids * self.training.batch * self.training.steps * self.times


def outlined(spec: DatasetSpec) -> Outline:
    """The outline of a dataset: from its files, or from `spec` alone if they are missing.

    Raises: RunError if neither gives the shape of a sample.
    """
    try:
        dataset = spec.build()
    except RunError as error:
        if spec.sample_shape is None:
            raise
        dtype = torch.int64 if spec.form in ("ids", "trace") else torch.float32
        unknown = f"counted as if there were no classes ({error})"
        return Outline(spec.sample_shape, dtype, None, spec.vocabulary, unknown)
    sample = dataset.take("train", torch.zeros(1, dtype=torch.int64)).data
    return Outline(tuple(sample.shape[1:]), sample.dtype, dataset.classes, dataset.vocabulary, None)


def costs(plan: Plan, data: Outline) -> list[StageCost]:
    """The cost of each stage that `plan` trains; tensors have no contents and take no memory.

    Raises: RunError if a stage trains neither a tokenizer nor a prior, and the experiment has no step for it.
    """
    stages = []
    with blank():
        tokenizer = _tokenizer(plan, data)
        for stage, training in plan.training.items():
            if not plan.experiment.trains(stage):
                continue
            if own := plan.experiment.step(stage, plan, data):
                stages.append(_cost(stage, training, own))
                continue
            role = plan.experiment.stages[stage]
            match plan.experiment.roles[role]:
                case Role("tokenizer"):
                    stages.append(_cost(stage, training, _compressing(plan, data, tokenizer, training)))
                case Role("prior", many):
                    for index, spec in enumerate(plan.parts[role] if many else [plan.parts[role]]):
                        name = f"{stage}.{index}" if many else stage
                        stages.append(
                            _cost(name, training, modelling(spec, name, training, data, _read(data, tokenizer)))
                        )
                case other:
                    raise RunError(
                        f"{stage}: expected a stage that trains a tokenizer or a prior, got one of a {other.kind}"
                    )
    return stages


def _part(plan: Plan, kind: str) -> Any:
    """The spec, or specs, of the first role of a kind; None if the experiment has no such role."""
    return next((plan.parts[role] for role, what in plan.experiment.roles.items() if what.kind == kind), None)


def _tokenizer(plan: Plan, data: Outline) -> Any:
    spec, sample = _part(plan, "tokenizer"), torch.empty(1, *data.shape, dtype=data.dtype)
    return None if spec is None else spec.build(_part(plan, "bottleneck").build(), sample, data.vocabulary)


def _batch(data: Outline, training: Training) -> tuple[Tensor, Tensor | None]:
    """A batch without contents, and its class ids, if any."""
    many = torch.empty(training.batch, *data.shape, dtype=data.dtype)
    return many, None if data.classes is None else torch.zeros(training.batch, dtype=torch.int64)


def _compressing(plan: Plan, data: Outline, tokenizer: Any, training: Training) -> Step:
    """A step of a tokenizer at the end of training, when every regulariser is active."""
    regularizers: dict[str, tuple[Regularizer, float]] = {}
    left_out = []
    for index, spec in enumerate(_part(plan, "regularizer") or ()):
        try:
            regularizers[f"regularizer.{index}"] = spec.build(tokenizer), spec.weight
        except RunError as error:  # such as missing weights
            left_out.append(f"regularizer.{index}: {error}")
    batch, class_ids = _batch(data, training)
    parts = {"tokenizer": tokenizer} | {name: regularizer for name, (regularizer, _) in regularizers.items()}
    return Step(
        parts,
        lambda: penalised(batch, tokenizer(batch, class_ids), regularizers, 1.0).total,
        tokenizer.length,
        tuple(left_out),
    )


def _read(data: Outline, tokenizer: Any) -> tuple[int, int]:
    """Vocabulary and length of a prior's samples: the tokenizer's, or the data's if there is no tokenizer."""
    if tokenizer is None:
        return data.vocabulary or 0, data.shape[-1]  # data other than ids have a tokenizer
    return tokenizer.vocabulary, tokenizer.length


def modelling(spec: PriorSpec, name: str, training: Training, data: Outline, ids: tuple[int, int]) -> Step:
    """A step of a prior over `ids`, a vocabulary and a length."""
    vocabulary, length = ids
    prior = spec.build(vocabulary, length, data.classes)
    class_ids = _batch(data, training)[1]
    rows = torch.zeros(training.batch, length, dtype=torch.int64)
    return Step({name: prior}, lambda: nats(prior, rows, class_ids).mean(), length)


def _cost(stage: str, training: Training, step: Step) -> StageCost:
    own = _own(step)
    weights = [weight for each in own.values() for weight in each]
    buffers = [each for part in step.parts.values() if isinstance(part, nn.Module) for each in part.buffers()]
    parameters = {name: sum(weight.numel() for weight in each) for name, each in own.items()}
    learning = sum(weight.nbytes for weight in weights if weight.requires_grad)
    trace, obstacle = _traced(step, [*weights, *buffers], training.precision)
    formula = 6 * sum(parameters.values()) * step.ids * training.batch
    return StageCost(
        stage=stage,
        training=training,
        parameters=parameters,
        flops=float(training.steps) * step.times * (formula if trace is None else trace.flops),
        ids=step.ids,
        memory=Memory(
            weights=sum(each.nbytes for each in (*weights, *buffers)),
            gradients=learning,
            optimizer=2 * learning,  # AdamW keeps two moments
            activations=None if trace is None else trace.kept,
        ),
        obstacle=obstacle,
        left_out=step.left_out,
        times=step.times,
    )


def _own(step: Step) -> dict[str, list[nn.Parameter]]:
    """The parameters of each part, without those of the parts before it."""
    seen: set[int] = set()
    own: dict[str, list[nn.Parameter]] = {}
    for name, part in step.parts.items():
        parameters = part.parameters() if isinstance(part, nn.Module) else ()
        own[name] = [weight for weight in parameters if id(weight) not in seen]
        seen |= {id(weight) for weight in own[name]}
    return own


def _traced(step: Step, weights: list[Tensor], precision: str) -> tuple[Trace | None, str | None]:
    """The trace of a step, or why it failed: a component's code may do anything to blank tensors."""
    try:
        return traced(step.loss, weights, precision=precision), None
    except Exception as error:
        return None, in_one_line(error)
