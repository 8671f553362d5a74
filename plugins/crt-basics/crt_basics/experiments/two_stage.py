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
from crt_run.training.ids import check_round_trip, coded, encoded, spread
from crt_run.training.order import seeded
from crt_run.training.stages import (
    TOKENIZER,
    Split,
    build_dataset,
    evidence,
    generated,
    keep,
    modelling,
    trained_tokenizer,
)
from crt_run.training.trainer import Part, fit
from crtcore.errors import Stopped
from crtcore.kinds import Dataset, Evidence, Findings, Generation, Measurement, Metric, Plan, Prior, Run, Tokenizer
from crtcore.noise import Noise


class TwoStageExperiment:
    """Trains a tokenizer and a prior over its ids, generates from the prior, and scores both on held-out data."""

    def __init__(self, spec: TwoStage) -> None:
        self.spec = spec

    def __call__(self, plan: Plan, run: Run) -> Findings:
        """Trains the stages that are not finished, then measures."""
        dataset = build_dataset(plan, run)
        metrics = [spec.build() for spec in plan.parts["metric"]]  # before training, as one may lack a package or file
        tokenizer = trained_tokenizer(plan, run, dataset)
        prior = self._prior("prior", plan, run, dataset, tokenizer)
        draft = self._prior("draft", plan, run, dataset, tokenizer) if plan.parts["draft"] else None
        if run.stopping():
            raise Stopped
        with torch.inference_mode():
            numbers = self._measure(plan, run, dataset, tokenizer, prior, draft, metrics=metrics)
        for role, part in (("tokenizer", tokenizer), ("prior", prior), ("draft", draft)):
            run.note_backends(role, part)  # a part knows its backend once it has run
        return Findings(numbers)

    def _prior(self, role: str, plan: Plan, run: Run, dataset: Dataset, tokenizer: Tokenizer) -> Any:
        spec = plan.parts[role]
        with seeded(plan.seed, role):
            prior = spec.build(tokenizer.vocabulary, tokenizer.length, dataset.classes).to(run.device)
        if spec.pretrained:
            return prior.eval()
        training = plan.training[role]
        noise = Noise(plan.seed, f"order of the {role}'s batches")
        with run.stage(role, (*TOKENIZER, "experiment.evaluations", role, f"training.{role}")) as stage:
            codes = coded(run, TOKENIZER, dataset, tokenizer, "train")
            everything = spread(dataset.sizes["validation"])
            held_ids, held_classes = encoded(run, dataset, tokenizer, "validation", everything)
            if not stage.finished:
                check_round_trip(run, dataset, tokenizer, "train", codes)

            def validate() -> float:
                training_now = prior.training
                score = float(scored(prior.eval(), held_ids, held_classes).mean())
                prior.train(training_now)
                return score

            fit(
                stage, {role: Part(prior, training.optimizer)}, training,
                modelling(prior, codes, noise=noise, batch=training.batch),
                validate=validate, validations=self.spec.evaluations,
            )  # fmt: skip
        return prior.eval()

    def _measure(
        self, plan: Plan, run: Run, dataset: Dataset, tokenizer: Any, prior: Prior, draft: Prior | None,
        *, metrics: Sequence[Metric],
    ) -> dict[str, Measurement]:  # fmt: skip
        fitted, held_out = (spread(dataset.sizes[split], self.spec.samples) for split in ("train", "test"))
        known = coded(run, TOKENIZER, dataset, tokenizer, "train").at(fitted)
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
