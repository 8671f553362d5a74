"""The scaling study: two tokenizers, and every prior over the ids of each, at every training length."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import attrs
import torch
from torch import Tensor

from crt_basics.metrics.code_length import fitted_width, residual_bits
from crt_basics.metrics.specs import CodeLength, Frechet, KernelDistance
from crt_basics.metrics.whitened import Whitened, whitened
from crt_cost.flops import counted, non_embedding_parameters, sample_flops
from crt_run.likelihood import scored
from crt_run.training.ids import StoredIds, encoded, spread
from crt_run.training.order import seeded
from crt_run.training.stages import (
    TOKENIZER,
    Split,
    build_dataset,
    compression,
    decoded,
    evidence,
    generated,
    keep,
    modelling,
    taken,
    trained_tokenizer,
)
from crt_scaling.cooled import Schedule, cooled
from crt_scaling.numbers import BASELINE, REGULARIZED, Arm, Trial, findings
from crt_scaling.spec import Scaling
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Dataset, Evidence, Findings, Measurement, Plan, Run
from crtcore.noise import Noise


class Compressed(NamedTuple):
    """A trained tokenizer, and the encoded data."""

    name: str
    plan: Plan
    """The plan that trained it."""
    tokenizer: Any
    train: Split
    test: Split
    evidence: Evidence
    """Holds reconstructions in place of draws."""


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
        features = whitened(taken(dataset, "train", spread(dataset.sizes["train"])), self.spec.dimensions)
        arms = {}
        for name, own in variants(plan, self.spec).items():
            compressed = self._compressed(name, own, run, dataset)
            step = step_flops(own, run, dataset)
            arms[name] = Arm(
                step * own.training["tokenizer"].steps,
                rest_bits(compressed.evidence, dataset.levels),
                list(self._trials(compressed, features, run, dataset)),
            )
        return findings(arms, features(taken(dataset, "test", spread(dataset.sizes["test"]))), plan.seed)

    def _compressed(self, name: str, plan: Plan, run: Run, dataset: Dataset) -> Compressed:
        tokenizer = trained_tokenizer(plan, run, dataset, f"{name}-tokenizer")
        rows = {split: spread(dataset.sizes[split]) for split in ("train", "test")}
        train, test = (Split(own, *encoded(run, dataset, tokenizer, split, own)) for split, own in rows.items())
        with torch.inference_mode():
            zeros = torch.zeros(len(test.ids))
            samples = evidence(plan, dataset, tokenizer, train, test, drawn=test.ids, id_nats=zeros)
        run.note_backends(f"{name} tokenizer", tokenizer)
        return Compressed(name, plan, tokenizer, train, test, samples)

    def _trials(self, compressed: Compressed, features: Whitened, run: Run, dataset: Dataset) -> Iterator[Trial]:
        """Every prior over a tokenizer's ids, after every length of training."""
        plan, training, tokenizer = compressed.plan, compressed.plan.training["prior"], compressed.tokenizer
        noise = Noise(plan.seed, "order of the prior's batches")
        for index, spec in enumerate(plan.parts["prior"]):
            with seeded(plan.seed, f"prior.{index}"):
                prior = spec.build(tokenizer.vocabulary, tokenizer.length, dataset.classes).to(run.device)
            codes = StoredIds(compressed.train.ids, compressed.train.class_ids, None)
            objective = modelling(prior, codes, noise=noise, batch=training.batch)
            reads = (*TOKENIZER, f"prior.{index}", "training.prior")
            schedule = Schedule(f"{compressed.name}-prior-{index}", reads, plan, training, objective)
            step = training.batch * sample_flops(prior, tokenizer.length)
            for length in cooled(prior, schedule, self.spec.lengths(training), run):
                samples = self._sampled(prior, schedule, length, compressed, run)
                yield Trial(
                    prior=index,
                    parameters=non_embedding_parameters(prior),
                    steps=length,
                    flops=step * length,
                    numbers=self._numbers(samples),
                    ids=samples.id_nats.double() / math.log(2),
                    generated=features(samples.generated),
                )
            run.note_backends(f"{compressed.name} prior {index}", prior)

    def _sampled(self, prior: Any, schedule: Schedule, length: int, compressed: Compressed, run: Run) -> Evidence:
        """Samples of a prior and the nats of held-out ids; both are saved, so that a second run reads them."""
        if run.stopping():
            raise Stopped
        tokenizer, (_, ids, class_ids) = compressed.tokenizer, compressed.test
        reads = (*schedule.reads, "decoder", "sampling")
        with run.stage(f"{schedule.name}-drawn-{length}", reads, schedule.plan) as stage:
            if not stage.finished:
                with torch.inference_mode():
                    drawn = generated(schedule.plan, run, tokenizer, prior, ids, class_ids).ids
                    nats = scored(prior, ids, class_ids)
                stage.save(length, {"drawn": drawn, "nats": nats}, {"step": length}, final=True)
            saved = stage.latest()
        assert saved is not None
        with torch.inference_mode():
            images = decoded(tokenizer, saved.tensors["drawn"].to(run.device), class_ids, image=True)
        samples = compressed.evidence._replace(generated=images, id_nats=saved.tensors["nats"])
        keep(run, samples)
        return samples

    def _numbers(self, samples: Evidence) -> dict[str, Measurement]:
        dimensions = self.spec.dimensions
        metrics = (CodeLength(), Frechet(dimensions=dimensions), KernelDistance(dimensions=dimensions))
        return {name: number for spec in metrics for name, number in spec.build()(samples).items()}


def rest_bits(samples: Evidence, levels: int) -> Tensor:
    """The bits of each held-out sample given its ids."""
    width = fitted_width(samples.train, samples.train_reconstructed, levels)
    return residual_bits(samples.real, samples.reconstructed, levels, width)


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
