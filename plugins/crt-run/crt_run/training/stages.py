"""What experiments share: training a tokenizer or a prior, generating ids, and the evidence that metrics score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor, nn

from crt_run.likelihood import CHUNK, counted, nats, scored
from crt_run.training.ids import StoredIds, batches
from crt_run.training.losses import Loss, penalised
from crt_run.training.order import batch_at, seeded
from crt_run.training.trainer import Part, fit
from crtcore.errors import RunError
from crtcore.kinds import Batch, Dataset, Evidence, Generation, Plan, Prior, Request, Run, Tokenizer
from crtcore.noise import Noise
from crtcore.settings import Limits

TOKENIZER = ("seed", "dataset", "tokenizer", "bottleneck", "regularizer", "training.tokenizer")
"""Paths of the plan that the tokenizer stage depends on; its cache key is a hash of what the plan has there."""
VALIDATED = 256
"""The most validation samples that score a prior over a dataset of ids while it trains."""
SHOWN = 40
"""Samples that are kept for the report."""


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


def generated(
    plan: Plan, run: Run, tokenizer: Tokenizer, prior: Prior, ids: Tensor, class_ids: Tensor | None,
    *, draft: Prior | None = None,
) -> Generation:  # fmt: skip
    """Generates one sample for each row of held-out `ids`, of the same class."""
    decoder = plan.parts["decoder"].build()
    seeds = Noise(plan.seed, "draws").seeds(torch.arange(len(ids))).to(ids.device)
    request = Request(ids[:, :0], Limits(length=tokenizer.length), plan.sampling, class_ids, seeds)
    generation: Generation = decoder.generate(prior, request, draft=draft)
    run.note_backends("decoder", decoder)
    return generation


class Split(NamedTuple):
    """Samples of a split, with their ids and classes."""

    rows: Int[Tensor, " b"]
    ids: Int[Tensor, "b n"]
    class_ids: Int[Tensor, " b"] | None


def evidence(
    plan: Plan, dataset: Dataset, tokenizer: Tokenizer, train: Split, test: Split, *, drawn: Tensor, id_nats: Tensor
) -> Evidence:
    """What metrics score: data, their reconstructions, and the decoded `drawn` ids."""
    image = plan.parts["dataset"].form == "image"
    return Evidence(
        train=taken(dataset, "train", train.rows),
        train_reconstructed=decoded(tokenizer, train.ids, train.class_ids, image=image),
        real=taken(dataset, "test", test.rows),
        reconstructed=decoded(tokenizer, test.ids, test.class_ids, image=image),
        generated=decoded(tokenizer, drawn, test.class_ids, image=image),
        ids=test.ids.cpu(),
        id_nats=id_nats.cpu(),
        vocabulary=tokenizer.vocabulary,
        levels=dataset.levels,
    )


def keep(run: Run, samples: Evidence) -> None:
    """Saves some samples for the report."""
    run.keep({name: getattr(samples, name)[:SHOWN] for name in ("real", "reconstructed", "generated")})


def taken(dataset: Dataset, split: str, rows: Int[Tensor, " b"]) -> Tensor:
    """The data of the samples `rows`."""
    return torch.cat([batch.data for batch in batches(dataset, split, rows)])


def decoded(tokenizer: Tokenizer, ids: Tensor, class_ids: Tensor | None, *, image: bool) -> Tensor:
    """The data that `ids` decode to; images are clamped to -1 to 1."""
    chunks = torch.split(torch.arange(len(ids), device=ids.device), CHUNK)
    data = torch.cat([tokenizer.decode(ids[chosen], _at(class_ids, chosen)) for chosen in chunks]).cpu()
    return data.clamp(-1, 1) if image else data


def _at(class_ids: Tensor | None, chosen: Tensor) -> Tensor | None:
    return None if class_ids is None else class_ids[chosen]


def _to(class_ids: Tensor | None, run: Run) -> Tensor | None:
    return None if class_ids is None else class_ids.to(run.device)


def _on(batch: Batch, run: Run) -> Batch:
    """A batch on the run's device."""
    return Batch._make(value if value is None else value.to(run.device) for value in batch)
