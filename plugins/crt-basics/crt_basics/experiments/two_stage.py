"""The two-stage experiment: a tokenizer, a prior over its ids, generation, and scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from crt_basics.experiments.own_numbers import OwnNumbers
from crt_basics.experiments.priors import prior_at
from crt_basics.experiments.specs import TwoStage
from crt_run.training.ids import coded, spread
from crt_run.training.objective import Inputs, trained_parts
from crt_run.training.sampling import sampled, train_data
from crt_run.training.stages import build_dataset
from crtcore.errors import Stopped
from crtcore.kinds import Dataset, Findings, Measurement, Metric, Plan, Prior, Run


class TwoStageExperiment:
    """Trains a tokenizer and a prior over its ids, generates from the prior, and scores both on held-out data."""

    def __init__(self, spec: TwoStage) -> None:
        self.spec = spec

    def __call__(self, plan: Plan, run: Run) -> Findings:
        """Trains the stages that are not finished, then measures."""
        dataset = build_dataset(plan, run)
        metrics = [spec.build() for spec in plan.parts["metric"]]  # before training, as one may lack a package or file
        made = trained_parts(Inputs(plan.stages[0], dataset, run=run))
        tokenizer = made["tokenizer"]
        priors = {role: prior_at(role, plan, run, dataset, made) for role in ("prior", "draft") if plan.parts[role]}
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
        codes = coded(run, plan.stages[0], dataset, tokenizer, "train")
        train = train_data(plan, dataset, tokenizer, codes, fitted, held_out=len(held_out))
        own = OwnNumbers(tokenizer.vocabulary, dataset.levels)
        for metric in metrics:
            metric.fit(train)
        for evidence, generation in sampled(plan, run, dataset, tokenizer, prior, held_out, draft=draft):
            own.update(evidence, generation)
            for metric in metrics:
                metric.update(evidence)
        numbers: dict[str, Measurement] = {}
        for metric in metrics:
            numbers |= metric.compute()
        return numbers | own.compute()
