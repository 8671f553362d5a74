"""The scaling study: two tokenizers, and over the ids of each every prior at every length."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import attrs
import torch
from torch import Tensor

from crt_basics.metrics.code_length import fitted_width, residual_bits
from crt_basics.metrics.specs import CodeLength, Frechet, KernelDistance
from crt_basics.metrics.whitened import Whitened
from crt_cost.flops import counted, parameters, sample_flops
from crt_run.training.ids import Codes, encoded, spread
from crt_run.training.order import seeded
from crt_run.training.stages import (
    TOKENIZER,
    Split,
    compression,
    decoded,
    draw,
    evidence,
    keep,
    modelling,
    taken,
    trained_tokenizer,
)
from crt_scaling.cooled import Course, cooled
from crt_scaling.numbers import BASELINE, REGULARIZED, Arm, Trial, findings
from crt_scaling.spec import Scaling
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Dataset, Evidence, Findings, Measurement, Plan, Run
from crtcore.likelihood import scored
from crtcore.noise import Noise


class Compressed(NamedTuple):
    """A trained tokenizer, and the data through it."""

    name: str
    plan: Plan
    """The plan that it was trained by."""
    tokenizer: Any
    train: Split
    test: Split
    evidence: Evidence
    """With reconstructions in place of draws."""


class ScalingExperiment:
    """What quality costs in the FLOPs of stage 2, with a tokenizer's regularisers and without them."""

    def __init__(self, spec: Scaling) -> None:
        self.spec = spec

    def __call__(self, plan: Plan, run: Run) -> Findings:
        """Trains what is not trained yet, then measures.

        Raises: RunError if the data has no levels, as its code length is then not known.
        """
        dataset = plan.parts["dataset"].build()
        run.facts["dataset"] = {"checksum": dataset.checksum, "sizes": dict(dataset.sizes)}
        if dataset.levels is None:
            raise RunError("scaling: expected images with levels, got a dataset without")
        features = Whitened(taken(dataset, "train", spread(dataset.sizes["train"])), self.spec.dimensions)
        arms = {}
        for name, own in variants(plan, self.spec).items():
            found = self._compressed(name, own, run, dataset)
            step = step_flops(own, run, dataset)
            arms[name] = Arm(
                step * own.training["tokenizer"].steps,
                rest_bits(found.evidence, dataset.levels),
                list(self._trials(found, features, run, dataset)),
            )
        return findings(arms, features(taken(dataset, "test", spread(dataset.sizes["test"]))), plan.seed)

    def _compressed(self, name: str, plan: Plan, run: Run, dataset: Dataset) -> Compressed:
        tokenizer = trained_tokenizer(plan, run, dataset, f"{name}-tokenizer")
        rows = {split: spread(dataset.sizes[split]) for split in ("train", "test")}
        train, test = (Split(own, *encoded(run, dataset, tokenizer, split, own)) for split, own in rows.items())
        with torch.inference_mode():
            found = evidence(plan, dataset, tokenizer, train, test, drawn=test.ids, id_nats=torch.zeros(len(test.ids)))
        run.note_backends(f"{name} tokenizer", tokenizer)
        return Compressed(name, plan, tokenizer, train, test, found)

    def _trials(self, found: Compressed, features: Whitened, run: Run, dataset: Dataset) -> Iterator[Trial]:
        """Every prior over a tokenizer's ids, after every length of training."""
        plan, training = found.plan, found.plan.training["prior"]
        noise = Noise(plan.seed, "order of the prior's batches")
        for index, spec in enumerate(plan.parts["prior"]):
            with seeded(plan.seed, f"prior.{index}"):
                prior = spec.build(found.tokenizer.vocabulary, found.tokenizer.length, dataset.classes).to(run.device)
            codes = Codes(found.train.ids, found.train.condition, None)
            objective = modelling(prior, codes, noise=noise, batch=training.batch)
            reads = (*TOKENIZER, f"prior.{index}", "training.prior")
            course = Course(f"{found.name}-prior-{index}", reads, plan, training, objective)
            step = training.batch * sample_flops(prior, found.tokenizer.length)
            for length in cooled(prior, course, self.spec.lengths(training), run):
                shown = self._shown(prior, course, length, found, run)
                yield Trial(
                    prior=index,
                    parameters=parameters(prior),
                    steps=length,
                    flops=step * length,
                    numbers=self._numbers(shown),
                    ids=shown.id_nats.double() / math.log(2),
                    generated=features(shown.generated),
                )
            run.note_backends(f"{found.name} prior {index}", prior)

    def _shown(self, prior: Any, course: Course, length: int, found: Compressed, run: Run) -> Evidence:
        """What a prior draws, and what held-out ids cost it; kept, so that it is done once."""
        if run.stopping():
            raise Stopped
        with run.stage(f"{course.name}-drawn-{length}", (*course.reads, "decoder", "sampling"), course.plan) as stage:
            if not stage.finished:
                with torch.inference_mode():
                    drawn = draw(course.plan, run, found.tokenizer, prior, *found.test[1:]).ids
                    nats = scored(prior, *found.test[1:])
                stage.save(length, {"drawn": drawn, "nats": nats}, {"step": length}, final=True)
            kept = stage.latest()
        assert kept is not None
        with torch.inference_mode():
            generated = decoded(found.tokenizer, kept.tensors["drawn"].to(run.device), found.test.condition, image=True)
        shown = found.evidence._replace(generated=generated, id_nats=kept.tensors["nats"])
        keep(run, shown)
        return shown

    def _numbers(self, shown: Evidence) -> dict[str, Measurement]:
        dimensions = self.spec.dimensions
        metrics = (CodeLength(), Frechet(dimensions=dimensions), KernelDistance(dimensions=dimensions))
        return {name: number for spec in metrics for name, number in spec.build()(shown).items()}


def rest_bits(found: Evidence, levels: int) -> Tensor:
    """What each held-out sample costs given its ids, in bits."""
    width = fitted_width(found.train, found.train_reconstructed, levels)
    return residual_bits(found.real, found.reconstructed, levels, width)


def variants(plan: Plan, spec: Scaling) -> Mapping[str, Plan]:
    """What each tokenizer is trained by: nothing but the plan, or the plan less its regularisers."""
    steps = spec.discounted(plan.training["tokenizer"].steps)
    shorter = {**plan.training, "tokenizer": attrs.evolve(plan.training["tokenizer"], steps=steps)}
    told = plan.identity["training"]
    return {
        BASELINE: attrs.evolve(
            plan,
            parts={**plan.parts, "regularizer": ()},
            identity={name: value for name, value in plan.identity.items() if name != "regularizer"},
        ),
        REGULARIZED: attrs.evolve(
            plan,
            training=shorter,
            identity={**plan.identity, "training": {**told, "tokenizer": {**told["tokenizer"], "steps": steps}}},
        ),
    }


def step_flops(plan: Plan, run: Run, dataset: Dataset) -> int:
    """FLOPs of one step of a tokenizer with its regularisers, met late in training."""
    objective = compression(plan, run, dataset).objective
    return counted(lambda: objective(0, 1.0).total)
