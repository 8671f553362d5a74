"""The drafting experiment: a tokenizer, a prior over its ids, and what ids cost to draw with each draft and decoder.

Axes: b batch, n ids of a sample, v vocabulary. Id -1 means absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import attrs
import torch
from jaxtyping import Int
from torch import Tensor

from crt_basics.experiments.own_numbers import OwnNumbers
from crt_basics.experiments.priors import prior_at
from crt_basics.experiments.specs import Drafting, named
from crt_run.sampling import probabilities
from crt_run.statistics import averaged
from crt_run.training.ids import batches, coded, spread
from crt_run.training.objective import Inputs, trained_parts
from crt_run.training.sampling import sampled, train_data
from crt_run.training.stages import build_dataset
from crtcore.errors import Stopped
from crtcore.kinds import Dataset, Findings, Generation, Measurement, Metric, Plan, Prior, Row, Run, Tokenizer
from crtcore.settings import Sampling
from crtcore.spec import Spec

NONE = "none"
"""The draft of a decoder that takes none."""


class Parts(NamedTuple):
    """What a run draws with."""

    dataset: Dataset
    tokenizer: Any
    prior: Prior
    drafts: Mapping[str, Prior]
    """By the name of their component and the settings that differ from its defaults."""
    device: torch.device


class DraftingExperiment:
    """Trains a tokenizer, a prior and drafts, and draws ids with every draft and every decoder."""

    def __init__(self, spec: Drafting) -> None:
        self.spec = spec

    def __call__(self, plan: Plan, run: Run) -> Findings:
        """Trains the stages that are not finished, then measures."""
        dataset = build_dataset(plan, run)
        metrics = [spec.build() for spec in plan.parts["metric"]]  # before training, as one may lack a package or file
        made = trained_parts(Inputs(plan.stages[0], dataset, run=run))
        prior = prior_at("prior", plan, run, dataset, made)
        drafts = {
            name: prior_at(f"draft.{place}", plan, run, dataset, made)
            for place, name in enumerate(names(plan.document["draft"], plan.parts["draft"]))
        }
        parts = Parts(dataset, made["tokenizer"], prior, drafts, run.device)
        with torch.inference_mode():
            findings = self._measure(plan, run, parts, metrics)
        for role, part in (("tokenizer", parts.tokenizer), ("prior", prior), *drafts.items()):
            run.note_backends(role, part)  # a part knows its backend once it has run
        return findings

    def _measure(self, plan: Plan, run: Run, parts: Parts, metrics: Sequence[Metric]) -> Findings:
        dataset, tokenizer = parts.dataset, parts.tokenizer
        fitted, held_out = (spread(dataset.sizes[split], self.spec.samples) for split in ("train", "test"))
        codes = coded(run, plan.stages[0], dataset, tokenizer, "train")
        train = train_data(plan, dataset, tokenizer, codes, fitted, held_out=len(held_out))
        own = OwnNumbers(tokenizer.vocabulary, dataset.levels)
        for metric in metrics:
            metric.fit(train)
        rows: list[Row] = []
        common = {name: {"draft_acceptance": agreement(parts, draft, held_out, sampling=plan.sampling)}
                  for name, draft in parts.drafts.items()}  # fmt: skip
        for decoder, draft, pair in pairs(plan, parts):
            if run.stopping():
                raise Stopped
            cost = Cost()
            prior, other = parts.prior, parts.drafts.get(draft)
            for evidence, generation in sampled(pair, run, dataset, tokenizer, prior, held_out, draft=other):
                cost.update(generation)
                if not rows:
                    own.update(evidence, generation)
                    for metric in metrics:
                        metric.update(evidence)
            rows.append(Row({"draft": draft, "decoder": decoder}, {**cost.compute(), **common.get(draft, {})}))
        numbers: dict[str, Measurement] = {}
        for metric in metrics:
            numbers |= metric.compute()
        mine = own.compute()
        del mine["target_calls_per_id"]  # it is that of one pair, and every point has its own
        return Findings(numbers | mine, rows)


def pairs(plan: Plan, parts: Parts) -> Iterator[tuple[str, str, Plan]]:
    """The names of each decoder and of each draft that it can take, and a plan with this decoder alone."""
    decoders = names(plan.document["decoder"], plan.parts["decoder"])
    for decoder, spec in zip(decoders, plan.parts["decoder"], strict=True):
        for draft in parts.drafts if spec.drafts else (NONE,):
            yield decoder, draft, attrs.evolve(plan, parts={**plan.parts, "decoder": spec})


class Cost:
    """Calls that ids took to draw."""

    def __init__(self) -> None:
        self.emitted = self.target = self.draft = 0

    def update(self, generation: Generation) -> None:
        """Takes a batch."""
        self.emitted += int((generation.ids >= 0).sum())
        self.target += int(generation.target_calls.sum())
        self.draft += int(generation.draft_calls.sum())

    def compute(self) -> dict[str, Measurement]:
        """The numbers by name."""
        return {
            "target_calls_per_id": Measurement(self.target / self.emitted, "calls", self.emitted),
            "draft_calls_per_id": Measurement(self.draft / self.emitted, "calls", self.emitted),
        }


def agreement(parts: Parts, draft: Prior, rows: Int[Tensor, " b"], *, sampling: Sampling) -> Measurement:
    """The mass that prior and draft have in common after held-out ids: how often a drafted id is accepted there.

    The first id is left out, as decoders draw it from the prior.
    Source: Leviathan et al. (2023), arXiv:2211.17192, theorem 3.5.
    """
    tokenizer: Tokenizer = parts.tokenizer
    common: list[Tensor] = []
    for batch in batches(parts.dataset, "test", rows):
        class_ids = None if batch.class_ids is None else batch.class_ids.to(parts.device)
        ids = tokenizer.encode(batch.data.to(parts.device), class_ids)
        p, q = (probabilities(each(ids, class_ids), sampling)[:, 1:-1] for each in (parts.prior, draft))
        common.append(torch.minimum(p.double(), q.double()).sum(-1)[ids[:, 1:] >= 0].cpu())
    return averaged(torch.cat(common), "probability")


def names(tables: Sequence[Mapping[str, Any]], specs: Sequence[Spec]) -> list[str]:
    """A name for each part of a role."""
    return [named(table, spec) for table, spec in zip(tables, specs, strict=True)]
