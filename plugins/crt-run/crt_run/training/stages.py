"""What experiments share: objectives of tokenizers and priors, generating ids, and the evidence that metrics score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor, nn

from crt_run.likelihood import CHUNK, counted, nats, scored
from crt_run.training.ids import StoredIds, batches, check_round_trip, encoded, spread
from crt_run.training.losses import Loss, penalised
from crt_run.training.objective import Inputs, Objective, trained
from crt_run.training.order import batch_at, seeded
from crt_run.training.trainer import Part
from crtcore.errors import RunError
from crtcore.kinds import Batch, Dataset, Evidence, Generation, Plan, Prior, Regularizer, Request, Run, Tokenizer
from crtcore.noise import Noise
from crtcore.settings import Limits

VALIDATED = 256
"""The most validation samples that score a prior over a dataset of ids while it trains."""
SHOWN = 40
"""Samples that are kept for the report."""


def build_dataset(plan: Plan, run: Run) -> Any:
    """Builds the dataset of a plan, and records its checksum and sizes in the run's facts."""
    dataset = plan.parts["dataset"].build()
    run.data = dataset.checksum
    run.facts["dataset"] = {"checksum": dataset.checksum, "sizes": dict(dataset.sizes)}
    return dataset


def tokenizer_objective(inputs: Inputs) -> Objective:
    """The objective of a tokenizer with its regularisers, at their initial values.

    Raises: RunError if a regulariser cannot be built; where costs are counted it is left out.
    """
    plan, dataset, seed = inputs.plan, inputs.dataset, inputs.plan["seed"]
    training = plan["training.tokenizer"]
    with seeded(seed, "bottleneck"):  # its own seed: the tokenizer's initial values do not depend on it
        bottleneck = plan["bottleneck"].build()
    with seeded(seed, "tokenizer"):
        first = dataset.take("train", torch.arange(2)).data
        tokenizer: Any = inputs.placed(plan["tokenizer"].build(bottleneck, first, dataset.vocabulary))
    regularizers: dict[str, tuple[Regularizer, float]] = {}
    parts, left_out = {"tokenizer": Part(tokenizer, training.optimizer)}, []
    for index, spec in enumerate(plan["regularizer"]):
        name = f"regularizer.{index}"
        try:
            with seeded(seed, name):
                module = spec.build(tokenizer)
        except RunError as error:  # such as missing weights
            if inputs.run is not None:
                raise
            left_out.append(f"{name}: {error}")
            continue
        regularizers[name] = module, spec.weight
        if isinstance(module, nn.Module):
            parts[name] = Part(inputs.placed(module), spec.optimizer)
    noise = Noise(seed, "order of the tokenizer's batches")

    def loss(step: int, progress: float) -> Loss:
        chosen = batch_at(noise, dataset.sizes["train"], training.batch, step)
        batch = _on(dataset.take("train", chosen), inputs)
        return penalised(batch.data, tokenizer(batch.data, batch.class_ids), regularizers, progress)

    return Objective(parts, loss, tokenizer.length, left_out=tuple(left_out))


def code_prior(inputs: Inputs, path: str) -> Any:
    """The prior at a path of the plan, over the ids of the tokenizer before it, at its initial values.

    Raises: RunError if the tokenizer's codes are continuous.
    """
    tokenizer = inputs.tokenizer
    if not tokenizer.vocabulary:
        raise RunError(
            "bottleneck: expected a discrete bottleneck (the prior models its ids), got a continuous one; "
            "choose another, or the experiment 'compression', which trains no prior"
        )
    with seeded(inputs.plan["seed"], path):
        prior = inputs.plan[path].build(tokenizer.vocabulary, tokenizer.length, inputs.dataset.classes)
    return inputs.placed(prior)


def code_prior_objective(inputs: Inputs) -> Objective:
    """The objective of a prior over a tokenizer's ids: the mean nats of a sample, validated on the validation split."""
    role, plan = inputs.stage.name, inputs.plan
    prior, training = code_prior(inputs, role), plan[f"training.{role}"]
    codes, evaluations = inputs.codes("train"), plan["experiment.evaluations"]
    loss = modelling(prior, codes, noise=Noise(plan["seed"], f"order of the {role}'s batches"), batch=training.batch)
    objective = Objective({role: Part(prior, training.optimizer)}, loss, inputs.tokenizer.length)
    if inputs.run is None:
        return objective
    run, dataset, tokenizer = inputs.run, inputs.dataset, inputs.tokenizer
    held = encoded(run, dataset, tokenizer, "validation", spread(dataset.sizes["validation"]))

    def validate() -> float:
        training_now = prior.training
        score = float(scored(prior.eval(), *held).mean())
        prior.train(training_now)
        return score

    return objective._replace(
        validate=validate,
        validations=evaluations,
        check=lambda: check_round_trip(run, dataset, tokenizer, "train", codes),
    )


def modelling(prior: Prior, codes: StoredIds, *, noise: Noise, batch: int) -> Callable[[int, float], Loss]:
    """The loss of a prior: the mean nats of a sample's ids, over batches in the order of `noise`."""

    def loss(step: int, progress: float) -> Loss:
        chosen = batch_at(noise, len(codes.ids), batch, step).to(codes.ids.device)
        return Loss(nats(prior, *codes.at(chosen)).mean(), {})

    return loss


def prior_objective(inputs: Inputs) -> Objective:
    """The objective of a prior over a dataset of ids, with the dataset's loss weights.

    It is validated on at most `VALIDATED` samples.
    """
    role, plan, dataset = inputs.stage.name, inputs.plan, inputs.dataset
    training, evaluations = plan[f"training.{role}"], plan["experiment.evaluations"]
    held = _on(dataset.take("validation", torch.arange(min(VALIDATED, dataset.sizes["validation"]))), inputs)
    with seeded(plan["seed"], role):
        prior = inputs.placed(plan[role].build(dataset.vocabulary, held.data.shape[1], dataset.classes))
    noise = Noise(plan["seed"], f"order of the {role}'s batches")

    def loss(step: int, progress: float) -> Loss:
        batch = _on(dataset.take("train", batch_at(noise, dataset.sizes["train"], training.batch, step)), inputs)
        return Loss(nats(prior, *batch).sum() / counted(batch.data, batch.weight), {})

    def validate() -> float:
        score = float(scored(prior.eval(), *held).sum() / counted(held.data, held.weight))
        prior.train()
        return score

    parts = {role: Part(prior, training.optimizer)}
    return Objective(parts, loss, held.data.shape[1], validate, evaluations)


def prior_of(role: str, plan: Plan, run: Run, dataset: Dataset) -> Any:
    """The prior of a role over a dataset of ids: trained in its stage, or as it is if it is pretrained."""
    for stage in plan.stages:
        if stage.name == role:
            return trained(Inputs(stage, dataset, run=run))
    length = dataset.take("validation", torch.arange(1)).data.shape[1]
    with seeded(plan.seed, role):
        return plan.parts[role].build(dataset.vocabulary, length, dataset.classes).to(run.device).eval()


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


def _on(batch: Batch, inputs: Inputs) -> Batch:
    """A batch on the device of the inputs."""
    return Batch._make(value if value is None else value.to(inputs.device) for value in batch)
