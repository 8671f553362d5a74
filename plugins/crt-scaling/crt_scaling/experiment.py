"""The scaling study: two tokenizers, and every prior over the ids of each, at every training length."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import attrs
import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_basics.metrics.code_length import code_length
from crt_basics.metrics.specs import CodeLength, Frechet, KernelDistance
from crt_basics.metrics.whitened import Whitened, whitened
from crt_cost.flops import counted, non_embedding_parameters, sample_flops
from crt_run.streams import numbered
from crt_run.training.ids import StoredIds, batches, encoded, spread
from crt_run.training.order import seeded
from crt_run.training.sampling import decoded, generator, keep, taken, train_data
from crt_run.training.stages import TOKENIZER, build_dataset, compression, modelling, trained_tokenizer
from crt_scaling.cooled import Schedule, cooled
from crt_scaling.numbers import BASELINE, REGULARIZED, Arm, Trial, findings
from crt_scaling.spec import Scaling
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Dataset, Evidence, Findings, Measurement, Metric, Plan, Run
from crtcore.likelihood import scored
from crtcore.noise import Noise


class Compressed(NamedTuple):
    """A trained tokenizer, the encoded data, and what is fitted on its training data."""

    name: str
    plan: Plan
    """The plan that trained it."""
    tokenizer: Any
    codes: StoredIds
    """Of the training data."""
    test: StoredIds
    metrics: tuple[Metric, ...]
    """Fitted; a trial updates copies of them."""
    rest: Float[Tensor, " b"]
    """Bits of each held-out sample given its ids."""
    features: Whitened


class ScalingExperiment:
    """Measures quality against the FLOPs of stage 2, with a tokenizer's regularisers and without them."""

    def __init__(self, spec: Scaling) -> None:
        self.spec = spec

    def __call__(self, plan: Plan, run: Run) -> Findings:
        """Trains the stages that are not finished, then measures.

        Raises: RunError if the data has no levels, which its code length needs.
        """
        dataset = build_dataset(plan, run)
        if dataset.levels is None:
            raise RunError("scaling: expected images with levels, got a dataset without")
        shared: dict[str, Any] = {}
        arms = {}
        for name, own in variants(plan, self.spec).items():
            compressed = self._compressed(name, own, run, dataset, shared)
            step = step_flops(own, run, dataset)
            trials = list(self._trials(compressed, run, dataset))
            arms[name] = Arm(step * own.training["tokenizer"].steps, compressed.rest, trials)
        held_out = batches(dataset, "test", spread(dataset.sizes["test"]))
        return findings(arms, torch.cat([compressed.features(batch.data) for batch in held_out]), plan.seed)

    def _compressed(self, name: str, plan: Plan, run: Run, dataset: Dataset, shared: dict[str, Any]) -> Compressed:
        tokenizer = trained_tokenizer(plan, run, dataset, f"{name}-tokenizer")
        rows = {split: spread(dataset.sizes[split]) for split in ("train", "test")}
        codes, test = (StoredIds(*encoded(run, dataset, tokenizer, split, own), None) for split, own in rows.items())
        train = train_data(plan, dataset, tokenizer, codes, rows["train"], held_out=len(test.ids))
        train = train._replace(shared=shared)  # the features do not depend on the tokenizer
        dimensions = self.spec.dimensions
        code = code_length(CodeLength())
        metrics = (code, Frechet(dimensions=dimensions).build(), KernelDistance(dimensions=dimensions).build())
        with torch.inference_mode():
            for metric in metrics:
                metric.fit(train)
            rest = [
                code.rest(taken(dataset, "test", chosen), decoded(tokenizer, *test.at(chosen), image=True))
                for chosen in numbered(len(test.ids))
            ]
        run.note_backends(f"{name} tokenizer", tokenizer)
        return Compressed(name, plan, tokenizer, codes, test, metrics, torch.cat(rest), whitened(train, dimensions))

    def _trials(self, compressed: Compressed, run: Run, dataset: Dataset) -> Iterator[Trial]:
        """Every prior over a tokenizer's ids, after every length of training."""
        plan, training, tokenizer = compressed.plan, compressed.plan.training["prior"], compressed.tokenizer
        noise = Noise(plan.seed, "order of the prior's batches")
        for index, spec in enumerate(plan.parts["prior"]):
            with seeded(plan.seed, f"prior.{index}"):
                prior = spec.build(tokenizer.vocabulary, tokenizer.length, dataset.classes).to(run.device)
            objective = modelling(prior, compressed.codes, noise=noise, batch=training.batch)
            reads = (*TOKENIZER, f"prior.{index}", "training.prior")
            schedule = Schedule(f"{compressed.name}-prior-{index}", reads, plan, training, objective)
            step = training.batch * sample_flops(prior, tokenizer.length)
            for length in cooled(prior, schedule, self.spec.lengths(training), run):
                drawn, nats = self._drawn(prior, schedule, length, compressed, run)
                numbers, generated = _scored(compressed, run, dataset, drawn, nats)
                yield Trial(
                    prior=index,
                    parameters=non_embedding_parameters(prior),
                    steps=length,
                    flops=step * length,
                    numbers=numbers,
                    ids=nats.double() / math.log(2),
                    generated=generated,
                )
            run.note_backends(f"{compressed.name} prior {index}", prior)

    def _drawn(
        self, prior: Any, schedule: Schedule, length: int, compressed: Compressed, run: Run
    ) -> tuple[Int[Tensor, "b n"], Float[Tensor, " b"]]:
        """Ids that a prior generates and the nats of held-out ids; both are saved, so that a second run reads them."""
        reads = (*schedule.reads, "decoder", "sampling")
        with run.stage(f"{schedule.name}-drawn-{length}", reads, schedule.plan) as stage:
            if not stage.finished:
                generate = generator(schedule.plan, run, compressed.tokenizer, prior)
                parts: list[tuple[Tensor, Tensor]] = []
                for chosen in numbered(len(compressed.test.ids)):
                    if run.stopping():
                        raise Stopped
                    ids, class_ids = compressed.test.at(chosen)
                    with torch.inference_mode():
                        parts.append((generate(chosen, class_ids).ids, scored(prior, ids, class_ids)))
                drawn, nats = (torch.cat(each) for each in zip(*parts, strict=True))
                stage.save(length, {"drawn": drawn, "nats": nats}, {"step": length}, final=True)
            saved = stage.latest()
        assert saved is not None
        return saved.tensors["drawn"], saved.tensors["nats"]


def _scored(
    compressed: Compressed, run: Run, dataset: Dataset, drawn: Int[Tensor, "b n"], nats: Float[Tensor, " b"]
) -> tuple[dict[str, Measurement], Float[Tensor, "b d"]]:
    """The numbers of a trial, and the features of its draws."""
    metrics = copy.deepcopy(compressed.metrics)
    features: list[Tensor] = []
    with torch.inference_mode():
        for chosen in numbered(len(drawn)):
            ids, class_ids = compressed.test.at(chosen)
            evidence = Evidence(
                rows=chosen,
                real=taken(dataset, "test", chosen),
                reconstructed=decoded(compressed.tokenizer, ids, class_ids, image=True),
                generated=decoded(compressed.tokenizer, drawn[chosen].to(run.device), class_ids, image=True),
                ids=ids.cpu(),
                id_nats=nats[chosen].cpu(),
            )
            if not features:
                keep(run, [evidence])
            features.append(compressed.features(evidence.generated))
            for metric in metrics:
                metric.update(evidence)
    return {name: number for metric in metrics for name, number in metric.compute().items()}, torch.cat(features)


def variants(plan: Plan, spec: Scaling) -> Mapping[str, Plan]:
    """The plan of each tokenizer: without regularisers, or with them and fewer steps."""
    steps = spec.discounted(plan.training["tokenizer"].steps)
    shorter = {**plan.training, "tokenizer": attrs.evolve(plan.training["tokenizer"], steps=steps)}
    training = plan.identity["training"]
    return {
        BASELINE: attrs.evolve(
            plan,
            parts={**plan.parts, "regularizer": ()},
            identity={name: value for name, value in plan.identity.items() if name != "regularizer"},
        ),
        REGULARIZED: attrs.evolve(
            plan,
            training=shorter,
            identity={
                **plan.identity,
                "training": {**training, "tokenizer": {**training["tokenizer"], "steps": steps}},
            },
        ),
    }


def step_flops(plan: Plan, run: Run, dataset: Dataset) -> int:
    """FLOPs of one step of a tokenizer with its regularisers, at the end of training."""
    objective = compression(plan, run, dataset).objective
    return counted(lambda: objective(0, 1.0).total)
