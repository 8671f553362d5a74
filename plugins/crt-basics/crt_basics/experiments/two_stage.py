"""The two-stage experiment: a tokenizer, a prior over its ids, generation, and scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from crt_basics.experiments.compression import error_scale
from crt_basics.experiments.specs import TwoStage
from crt_basics.metrics.code_length import unigram_nats
from crt_run.likelihood import scored
from crt_run.training.ids import coded, encoded, spread
from crt_run.training.objective import Inputs, trained
from crt_run.training.order import seeded
from crt_run.training.stages import Split, build_dataset, evidence, generated, keep
from crtcore.errors import Stopped
from crtcore.kinds import Dataset, Evidence, Findings, Generation, Measurement, Metric, Plan, Prior, Run, Tokenizer


class TwoStageExperiment:
    """Trains a tokenizer and a prior over its ids, generates from the prior, and scores both on held-out data."""

    def __init__(self, spec: TwoStage) -> None:
        self.spec = spec

    def __call__(self, plan: Plan, run: Run) -> Findings:
        """Trains the stages that are not finished, then measures."""
        dataset = build_dataset(plan, run)
        metrics = [spec.build() for spec in plan.parts["metric"]]  # before training, as one may lack a package or file
        stages = {stage.name: stage for stage in plan.stages}
        tokenizer = trained(Inputs(stages["tokenizer"], dataset, run=run))
        results = {"tokenizer": tokenizer}
        priors = {
            role: trained(Inputs(stages[role], dataset, results, run)) if role in stages
            else _pretrained(role, plan, run, dataset, tokenizer)
            for role in ("prior", "draft") if plan.parts[role]
        }  # fmt: skip
        prior, draft = priors["prior"], priors.get("draft")
        if run.stopping():
            raise Stopped
        with torch.inference_mode():
            numbers = self._measure(plan, run, dataset, tokenizer, prior, draft, metrics=metrics)
        for role, part in (("tokenizer", tokenizer), ("prior", prior), ("draft", draft)):
            run.note_backends(role, part)  # a part knows its backend once it has run
        return Findings(numbers)

    def _measure(
        self, plan: Plan, run: Run, dataset: Dataset, tokenizer: Any, prior: Prior, draft: Prior | None,
        *, metrics: Sequence[Metric],
    ) -> dict[str, Measurement]:  # fmt: skip
        fitted, held_out = (spread(dataset.sizes[split], self.spec.samples) for split in ("train", "test"))
        known = coded(run, plan.stages[0], dataset, tokenizer, "train").at(fitted)
        ids, class_ids = encoded(run, dataset, tokenizer, "test", held_out)
        generation = generated(plan, run, tokenizer, prior, ids, class_ids, draft=draft)
        nats = scored(prior, ids, class_ids)
        splits = Split(fitted, *known), Split(held_out, ids, class_ids)
        samples = evidence(plan, dataset, tokenizer, *splits, drawn=generation.ids, id_nats=nats)
        keep(run, samples)
        numbers: dict[str, Measurement] = {}
        for metric in metrics:
            numbers |= metric(samples)
        return numbers | _own_numbers(samples, generation)


def _pretrained(role: str, plan: Plan, run: Run, dataset: Dataset, tokenizer: Tokenizer) -> Any:
    """The prior of a role that brings its weights."""
    with seeded(plan.seed, role):
        prior: Any = plan.parts[role].build(tokenizer.vocabulary, tokenizer.length, dataset.classes)
    return prior.to(run.device).eval()


def _own_numbers(samples: Evidence, generation: Generation) -> dict[str, Measurement]:
    """Numbers of every two-stage run, whatever its metrics: error, use of codes, and calls of the target."""
    scale, unit = error_scale(samples.levels)
    error = (samples.real.double() - samples.reconstructed).square().mean() * scale**2
    emitted = int((generation.ids >= 0).sum())
    present = samples.ids[samples.ids >= 0]
    unigram = unigram_nats(present)
    count = len(samples.real)
    return {
        "reconstruction_mse": Measurement(float(error), unit, count),
        "codes_used": Measurement(float(len(torch.unique(present))), "codes", count),
        "code_perplexity": Measurement(math.exp(unigram), "codes", count),
        "code_entropy_bits": Measurement(unigram / math.log(2), "bits per id", count),
        "target_calls_per_id": Measurement(float(generation.target_calls.sum()) / emitted, "calls", emitted),
    }
