"""What experiments share: training a tokenizer or a prior."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from crt_run.training.ids import StoredIds
from crt_run.training.losses import Loss, penalised
from crt_run.training.order import batch_at, seeded
from crt_run.training.trainer import Part, fit
from crtcore.errors import RunError
from crtcore.kinds import Batch, Dataset, Plan, Prior, Run
from crtcore.likelihood import counted, nats, scored
from crtcore.noise import Noise

TOKENIZER = ("seed", "dataset", "tokenizer", "bottleneck", "regularizer", "training.tokenizer")
"""Paths of the plan that the tokenizer stage depends on; its cache key is a hash of what the plan has there."""
VALIDATED = 256
"""The most validation samples that score a prior over a dataset of ids while it trains."""


def build_dataset(plan: Plan, run: Run) -> Any:
    """Builds the dataset of a plan, and records its checksum and sizes in the run's facts."""
    dataset = plan.parts["dataset"].build()
    run.facts["dataset"] = {"checksum": dataset.checksum, "sizes": dict(dataset.sizes)}
    return dataset


class Compression(NamedTuple):
    """An untrained tokenizer, and what trains it."""

    tokenizer: Any
    parts: Mapping[str, Part]
    objective: Callable[[int, float], Loss]


def compression(plan: Plan, run: Run, dataset: Dataset) -> Compression:
    """Builds the tokenizer and the regularisers of a plan, at their initial values."""
    training = plan.training["tokenizer"]
    first = dataset.take("train", torch.arange(2)).data
    with seeded(plan.seed, "bottleneck"):  # its own seed: the tokenizer's initial values do not depend on it
        bottleneck = plan.parts["bottleneck"].build()
    with seeded(plan.seed, "tokenizer"):
        tokenizer: Any = plan.parts["tokenizer"].build(bottleneck, first, dataset.vocabulary).to(run.device)
    regularizers = {}
    for index, spec in enumerate(plan.parts["regularizer"]):
        with seeded(plan.seed, f"regularizer.{index}"):
            regularizers[f"regularizer.{index}"] = (spec.build(tokenizer), spec.weight)
    parts = {"tokenizer": Part(tokenizer, training.optimizer)}
    for (name, (module, _)), spec in zip(regularizers.items(), plan.parts["regularizer"], strict=True):
        if isinstance(module, nn.Module):
            parts[name] = Part(module.to(run.device), spec.optimizer)
    noise = Noise(plan.seed, "order of the tokenizer's batches")

    def objective(step: int, progress: float) -> Loss:
        batch = dataset.take("train", batch_at(noise, dataset.sizes["train"], training.batch, step))
        data = batch.data.to(run.device)
        return penalised(data, tokenizer(data, _to(batch.class_ids, run)), regularizers, progress)

    return Compression(tokenizer, parts, objective)


def trained_tokenizer(
    plan: Plan, run: Run, dataset: Dataset, name: str = "tokenizer", *, continuous: bool = False
) -> Any:
    """The tokenizer of a plan, trained in the stage called `name`.

    Raises: RunError before training if the bottleneck is continuous, unless `continuous` allows it.
    """
    tokenizer, parts, objective = compression(plan, run, dataset)
    if not (continuous or tokenizer.vocabulary):
        raise RunError(
            "bottleneck: expected a discrete bottleneck (the prior models its ids), got a continuous one; "
            "choose another, or the experiment 'compression', which trains no prior"
        )
    with run.stage(name, TOKENIZER, plan) as stage:
        fit(stage, parts, plan.training["tokenizer"], objective)
    for part, (module, _) in parts.items():
        if part != "tokenizer":  # experiments note the tokenizer's own, after it has run in evaluation mode
            run.note_backends(part, module)
    return tokenizer.eval()


def modelling(prior: Prior, codes: StoredIds, *, noise: Noise, batch: int) -> Callable[[int, float], Loss]:
    """The objective of a prior: the mean nats of a sample's ids, over batches in the order of `noise`."""

    def objective(step: int, progress: float) -> Loss:
        chosen = batch_at(noise, len(codes.ids), batch, step).to(codes.ids.device)
        return Loss(nats(prior, *codes.at(chosen)).mean(), {})

    return objective


def trained_prior(role: str, plan: Plan, run: Run, dataset: Dataset, *, evaluations: int) -> Any:
    """The prior of a role over a dataset of ids, trained with the dataset's loss weights in the stage called `role`.

    It is validated `evaluations` times and ends with its best weights.
    """
    held = _on(dataset.take("validation", torch.arange(min(VALIDATED, dataset.sizes["validation"]))), run)
    with seeded(plan.seed, role):
        prior = plan.parts[role].build(dataset.vocabulary, held.data.shape[1], dataset.classes).to(run.device)
    if plan.parts[role].pretrained:
        return prior.eval()
    training = plan.training[role]
    noise = Noise(plan.seed, f"order of the {role}'s batches")

    def objective(step: int, progress: float) -> Loss:
        batch = _on(dataset.take("train", batch_at(noise, dataset.sizes["train"], training.batch, step)), run)
        return Loss(nats(prior, *batch).sum() / counted(batch.data, batch.weight), {})

    def validate() -> float:
        score = float(scored(prior.eval(), *held).sum() / counted(held.data, held.weight))
        prior.train()
        return score

    with run.stage(role, ("seed", "dataset", "experiment.evaluations", role, f"training.{role}")) as stage:
        parts = {role: Part(prior, training.optimizer)}
        fit(stage, parts, training, objective, validate=validate, validations=evaluations)
    return prior.eval()


def _to(class_ids: Tensor | None, run: Run) -> Tensor | None:
    return None if class_ids is None else class_ids.to(run.device)


def _on(batch: Batch, run: Run) -> Batch:
    """A batch on the run's device."""
    return Batch._make(value if value is None else value.to(run.device) for value in batch)
