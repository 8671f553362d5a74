"""What experiments share: training a tokenizer or a prior, ids, draws, and what is decoded from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor, nn

from crt_run.training.ids import StoredIds, batches
from crt_run.training.losses import Loss, penalised
from crt_run.training.order import batch_at, seeded
from crt_run.training.trainer import Part, fit
from crtcore.errors import RunError
from crtcore.kinds import Batch, Dataset, Evidence, Generation, Plan, Prior, Request, Run, Tokenizer
from crtcore.likelihood import CHUNK, counted, nats, scored
from crtcore.noise import Noise
from crtcore.settings import Limits

TOKENIZER = ("seed", "dataset", "tokenizer", "bottleneck", "regularizer", "training.tokenizer")
"""What the tokenizer stage depends on."""
VALIDATED = 256
"""Validation samples that a prior of a dataset of ids is scored on while it trains, at most."""
SHOWN = 40
"""Samples that are kept for the report."""


class Compression(NamedTuple):
    """A tokenizer at its first values, and what trains it."""

    tokenizer: Any
    parts: Mapping[str, Part]
    objective: Callable[[int, float], Loss]


def compression(plan: Plan, run: Run, dataset: Dataset) -> Compression:
    """The tokenizer of a plan with its regularisers."""
    training = plan.training["tokenizer"]
    first = dataset.take("train", torch.arange(2)).data
    with seeded(plan.seed, "bottleneck"):  # its own, so that another one leaves the tokenizer's first values alone
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
    """The tokenizer of a plan, trained in the stage of that name.

    Raises: RunError before it is trained if its codes have no ids, unless they may be `continuous`.
    """
    tokenizer, parts, objective = compression(plan, run, dataset)
    if not (continuous or tokenizer.vocabulary):
        raise RunError(
            "bottleneck: expected one with ids, which stage 2 models, got one whose codes are continuous; "
            "choose another, or the experiment 'compression', which is stage 1 alone"
        )
    with run.stage(name, TOKENIZER, plan) as stage:
        fit(stage, parts, plan.training["tokenizer"], objective)
    for part, (module, _) in parts.items():
        if part != "tokenizer":  # which is noted once it has run without training too
            run.note_backends(part, module)
    return tokenizer.eval()


def modelling(prior: Prior, codes: StoredIds, *, noise: Noise, batch: int) -> Callable[[int, float], Loss]:
    """What a prior minimises: the nats of a sample's ids, in batches of an order of their own."""

    def objective(step: int, progress: float) -> Loss:
        chosen = batch_at(noise, len(codes.ids), batch, step).to(codes.ids.device)
        return Loss(nats(prior, *codes.at(chosen)).mean(), {})

    return objective


def trained_prior(role: str, plan: Plan, run: Run, dataset: Dataset, *, evaluations: int) -> Any:
    """The prior of a role over a dataset of ids, trained in the stage of that name by the dataset's loss weights.

    It is scored `evaluations` times on validation samples, and kept as it was when it scored best.
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
    """One sample for each row of held-out `ids`, of its class."""
    decoder = plan.parts["decoder"].build()
    seeds = Noise(plan.seed, "draws").seeds(torch.arange(len(ids))).to(ids.device)
    request = Request(ids[:, :0], Limits(length=tokenizer.length), plan.sampling, class_ids, seeds)
    made: Generation = decoder.generate(prior, request, draft=draft)
    run.note_backends("decoder", decoder)
    return made


class Split(NamedTuple):
    """Samples of a split, and what they are to a prior."""

    rows: Int[Tensor, " b"]
    ids: Int[Tensor, "b n"]
    class_ids: Int[Tensor, " b"] | None


def evidence(
    plan: Plan, dataset: Dataset, tokenizer: Tokenizer, train: Split, test: Split, *, drawn: Tensor, id_nats: Tensor
) -> Evidence:
    """What metrics are shown: data, the same through the tokenizer, and what the `drawn` ids stand for."""
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


def keep(run: Run, found: Evidence) -> None:
    """Keeps some samples for the report."""
    run.keep({name: getattr(found, name)[:SHOWN] for name in ("real", "reconstructed", "generated")})


def taken(dataset: Dataset, split: str, rows: Int[Tensor, " b"]) -> Tensor:
    """The data of some samples."""
    return torch.cat([batch.data for batch in batches(dataset, split, rows)])


def decoded(tokenizer: Tokenizer, ids: Tensor, class_ids: Tensor | None, *, image: bool) -> Tensor:
    """What `ids` stand for; images are cut to the range they are shown and scored in."""
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
