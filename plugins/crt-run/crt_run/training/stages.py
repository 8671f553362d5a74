"""What experiments share: objectives of tokenizers and priors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from crt_nn.ranks import portion
from crt_run.likelihood import counted, nats, scored
from crt_run.runs.contents import own_paths, with_inner
from crt_run.training.ahead import take_ahead
from crt_run.training.ids import StoredIds, check_round_trip, encoded, spread
from crt_run.training.losses import Loss, penalised
from crt_run.training.objective import Inputs, Objective, StepKind, trained
from crt_run.training.order import batch_at, seeded, step_noise
from crt_run.training.outline import outline_of
from crt_run.training.plans import around
from crt_run.training.trainer import Part
from crtcore.errors import RunError
from crtcore.kinds import Batch, Dataset, DatasetSpec, Plan, Prior, Regularizer, RegularizerSpec, Run
from crtcore.noise import Noise

VALIDATED = 256
"""The most validation samples that score a prior over a dataset of ids while it trains."""
_last: dict[DatasetSpec, Any] = {}
"""The dataset that this process built last, by its spec."""


class Few:
    """The first samples of each split of a dataset."""

    def __init__(self, inner: Any, count: int) -> None:
        self._inner = inner
        self.sizes = {split: min(size, count) for split, size in inner.sizes.items()}
        self.checksum, self.vocabulary, self.take = inner.checksum, inner.vocabulary, inner.take
        self.classes, self.levels = inner.classes, inner.levels  # checks of types look here alone from Python 3.12 on

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def build_dataset(plan: Plan, run: Run) -> Any:
    """Builds the dataset of a plan, and records its checksum and sizes in the run's facts.

    If it has an attribute `skipped`, of what it left out by the reason, that is recorded and reported too. In a
    rehearsal it has a few samples alone. A process keeps the dataset that it built last for a run if that reads no
    files: the next run over the same spec does not generate its samples again.
    """
    spec = plan.parts["dataset"]
    dataset = _built(spec) if run.few is None else Few(spec.build(), run.few)
    run.data = dataset.checksum
    run.facts["dataset"] = {"checksum": dataset.checksum, "sizes": dict(dataset.sizes)}
    run.facts["outline"] = outline_of(dataset).plain
    if skipped := getattr(dataset, "skipped", {}):
        run.facts["dataset"]["skipped"] = skipped
        left_out = (f"{each['number']:,} {why} (first {each['first']!r})" for why, each in skipped.items())
        run.note(f"dataset: left out {', '.join(left_out)}")
    return dataset


def _built(spec: DatasetSpec) -> Any:
    """The dataset of a spec."""
    kept = _last.get(spec)
    _last.clear()
    dataset = spec.build() if kept is None else kept
    if not any(map(own_paths, with_inner(spec))):  # files may change between two runs
        _last[spec] = dataset
    return dataset


def tokenizer_objective(inputs: Inputs) -> Objective:
    """The objective of a tokenizer with its regularisers, at their initial values.

    Raises: RunError if a regulariser cannot be built, or no step has its loss; where costs are counted it is left out.
    """
    plan, dataset, seed = inputs.plan, inputs.dataset, inputs.plan["seed"]
    training = plan["training.tokenizer"]
    with seeded(seed, "bottleneck"):  # its own seed: the tokenizer's initial values do not depend on it
        bottleneck = plan["bottleneck"].build()
    with seeded(seed, "tokenizer"):
        first = dataset.take("train", torch.arange(2)).data
        tokenizer: Any = inputs.placed(plan["tokenizer"].build(bottleneck, first, dataset.vocabulary))
    regularizers: dict[str, tuple[Regularizer, RegularizerSpec]] = {}
    parts, left_out = {"tokenizer": Part(tokenizer, training.optimizer)}, []
    for index, spec in enumerate(plan["regularizer"]):
        name = f"regularizer.{index}"
        if inputs.run is not None:
            _check_due(name, spec, training.steps)
        try:
            with seeded(seed, name):
                module = spec.build(tokenizer)
        except RunError as error:  # such as missing weights
            if inputs.run is not None:
                raise
            left_out.append(f"{name}: {error}")
            continue
        regularizers[name] = module, spec
        if isinstance(module, nn.Module):
            parts[name] = Part(inputs.placed(module), spec.optimizer, 1 - spec.last)
    order = partial(batch_at, Noise(seed, "order of the tokenizer's batches"), dataset.sizes["train"], training.batch)

    def loss(step: int, progress: float) -> Loss:
        batch = _on(take_ahead(dataset, "train", order, step, training.steps), inputs)
        own = step_noise(seed, "tokenizer", step, len(batch.data), inputs.device)
        due = {
            name: (regularizer, spec.every * spec.weight)
            for name, (regularizer, spec) in regularizers.items()
            if progress == 1 or is_due(spec, step, training.steps)  # at progress 1 memory is counted, with all
        }
        return penalised(batch.data, tokenizer(batch.data, batch.class_ids, noise=own), due, progress)

    units = {"distortion": plan["tokenizer"].distortion_unit}
    kinds = partial(kinds_of_steps, [spec for _, spec in regularizers.values()], training.steps)
    return Objective(parts, loss, tokenizer.length, left_out=tuple(left_out), units=units, step_kinds=kinds)


def is_due(spec: RegularizerSpec, step: int, steps: int) -> bool:
    """Whether a step, counted from 0, of `steps` has the loss of a regulariser."""
    return (step + 1) % spec.every == 0 and step >= steps - round(spec.last * steps)


def _check_due(name: str, spec: RegularizerSpec, steps: int) -> None:
    if steps and not is_due(spec, steps // spec.every * spec.every - 1, steps):  # the last one that `every` allows
        raise RunError(
            f"{name}: none of {steps} steps has its loss, by `every = {spec.every}` and `last = {spec.last}`; train "
            "longer, or leave it out"
        )


def kinds_of_steps(specs: Sequence[RegularizerSpec], steps: int) -> list[StepKind]:
    """The steps by the regularisers whose loss they have."""
    if all(spec.every == spec.last == 1 for spec in specs):
        return []
    kinds: dict[tuple[bool, ...], StepKind] = {}
    for step in range(steps):
        due = tuple(is_due(spec, step, steps) for spec in specs)
        before = kinds[due].steps if due in kinds else 0
        kinds[due] = StepKind(step, step / steps, before + 1)
    return list(kinds.values())


def code_prior(inputs: Inputs, path: str) -> Any:
    """The prior at a path of the plan, over the ids of the tokenizer before it, at its initial values.

    Raises: RunError if the tokenizer's codes are continuous.
    """
    tokenizer = inputs.tokenizer
    if tokenizer.vocabulary is None:
        raise RunError(
            "bottleneck: expected a discrete bottleneck (the prior models its ids), got a continuous one; "
            "choose another, or the experiment 'compression', which trains no prior"
        )
    with seeded(inputs.plan["seed"], path):
        prior = inputs.plan[path].build(tokenizer.vocabulary, tokenizer.length, inputs.dataset.classes)
    return inputs.placed(prior)


def code_prior_objective(inputs: Inputs) -> Objective:
    """The objective of a prior over a tokenizer's ids: the mean nats of a sample, validated on the validation split."""
    path, plan = inputs.stage.name, inputs.plan
    role = path.partition(".")[0]
    prior, training = code_prior(inputs, path), plan[f"training.{role}"]
    codes, evaluations = inputs.codes("train"), plan["experiment.evaluations"]
    loss = modelling(prior, codes, seed=plan["seed"], role=path, batch=training.batch)
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
        units={"validation": "nats a sample"},
    )


def modelling(prior: Prior, codes: StoredIds, *, seed: int, role: str, batch: int) -> Callable[[int, float], Loss]:
    """The loss of a role's prior: the mean nats of a sample's ids, over batches in an order by the seed."""
    noise = Noise(seed, f"order of the {role}'s batches")

    def loss(step: int, progress: float) -> Loss:
        chosen = batch_at(noise, len(codes.ids), batch, step).to(codes.ids.device)
        own = step_noise(seed, role, step, len(chosen), chosen.device)
        return Loss(nats(prior, *codes.at(chosen), noise=own).mean(), {})

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
    order = partial(batch_at, noise, dataset.sizes["train"], training.batch)

    def loss(step: int, progress: float) -> Loss:
        batch = _on(take_ahead(dataset, "train", order, step, training.steps), inputs)
        own = step_noise(plan["seed"], role, step, len(batch.data), inputs.device)
        present = portion(counted(batch.data, batch.weight), batch.data.numel())
        return Loss(nats(prior, *batch, noise=own).sum() / present, {})

    def validate() -> float:
        score = float(scored(prior.eval(), *held).sum() / counted(held.data, held.weight))
        prior.train()
        return score

    parts = {role: Part(prior, training.optimizer)}
    units = {"validation": "nats an id"}
    return Objective(parts, loss, held.data.shape[1], validate, evaluations, units=units)


def prior_of(role: str, plan: Plan, run: Run, dataset: Dataset) -> Any:
    """The prior of a role over a dataset of ids: trained in its stage, or as it is if it is pretrained."""
    for stage in plan.stages:
        if stage.name == role:
            return around(plan.parts[role], trained(Inputs(stage, dataset, run=run)), dataset.classes)
    length = dataset.take("validation", torch.arange(1)).data.shape[1]
    with seeded(plan.seed, role):
        return plan.parts[role].build(dataset.vocabulary, length, dataset.classes).to(run.device).eval()


def _on(batch: Batch, inputs: Inputs) -> Batch:
    """A batch on the device of the inputs."""
    return Batch._make(value if value is None else value.to(inputs.device) for value in batch)
