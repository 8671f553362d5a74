"""The two-stage experiment: compress, model, draw, score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from crtcore.builtin.code_length import unigram_nats
from crtcore.builtin.codes import batches, check_round_trip, coded, encoded
from crtcore.builtin.specs import TwoStage
from crtcore.experiment import Plan
from crtcore.kinds import Dataset, Drawn, Evidence, Findings, Measurement, Metric, Prior, Tokenizer
from crtcore.likelihood import CHUNK, nats, scored
from crtcore.noise import Noise
from crtcore.run import Run, Stopped
from crtcore.settings import Limits
from crtcore.train import Loss, Part, batch_at, fit, penalised, seeded

TOKENIZER = ("seed", "dataset", "tokenizer", "bottleneck", "regularizer", "training.tokenizer")
"""What the tokenizer stage depends on."""
SHOWN = 40
"""Samples that are kept for the report."""


class TwoStageExperiment:
    """A tokenizer, a prior over its ids, draws from the prior, and both stages scored on held-out data."""

    def __init__(self, spec: TwoStage) -> None:
        self.spec = spec

    def __call__(self, plan: Plan, run: Run) -> Findings:
        """Trains what is not trained yet, then measures."""
        dataset = plan.parts["dataset"].build()
        metrics = [spec.build() for spec in plan.parts["metric"]]  # first, as one may lack a package or a file
        run.facts["dataset"] = {"checksum": dataset.checksum, "sizes": dict(dataset.sizes)}
        tokenizer = self._tokenizer(plan, run, dataset)
        prior = self._prior("prior", plan, run, dataset, tokenizer)
        draft = self._prior("draft", plan, run, dataset, tokenizer) if plan.parts["draft"] else None
        if run.stopping():
            raise Stopped
        with torch.inference_mode():
            numbers = self._measure(plan, run, dataset, tokenizer, prior, draft, metrics=metrics)
        for role, part in (("tokenizer", tokenizer), ("prior", prior), ("draft", draft)):
            run.note_backends(role, part)  # known once the part has run
        return Findings(numbers)

    def _tokenizer(self, plan: Plan, run: Run, dataset: Dataset) -> Any:
        training = plan.training["tokenizer"]
        first = dataset.take("train", torch.arange(2)).data
        with seeded(plan.seed, "bottleneck"):  # its own, so that another one leaves the tokenizer's first values alone
            bottleneck = plan.parts["bottleneck"].build()
        with seeded(plan.seed, "tokenizer"):
            tokenizer: Any = plan.parts["tokenizer"].build(bottleneck, first).to(run.device)
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
            return penalised(data, tokenizer(data, _to(batch.condition, run)), regularizers, progress)

        with run.stage("tokenizer", TOKENIZER) as stage:
            fit(stage, parts, training, objective)
        for name, (regularizer, _) in regularizers.items():
            run.note_backends(name, regularizer)
        return tokenizer.eval()

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
            everything = spread(dataset.sizes["validation"], 0)
            held_ids, held_condition = encoded(run, dataset, tokenizer, "validation", everything)
            if not stage.finished:
                check_round_trip(run, dataset, tokenizer, "train", codes)

            def objective(step: int, progress: float) -> Loss:
                chosen = batch_at(noise, len(codes.ids), training.batch, step).to(run.device)
                return Loss(nats(prior, *codes.at(chosen)).mean(), {})

            def judge() -> float:
                training_now = prior.training
                score = float(scored(prior.eval(), held_ids, held_condition).mean())
                prior.train(training_now)
                return score

            fit(
                stage, {role: Part(prior, training.optimizer)}, training, objective,
                judge=judge, judgements=self.spec.evaluations,
            )  # fmt: skip
        return prior.eval()

    def _measure(
        self, plan: Plan, run: Run, dataset: Dataset, tokenizer: Any, prior: Prior, draft: Prior | None,
        *, metrics: Sequence[Metric],
    ) -> dict[str, Measurement]:  # fmt: skip
        fitted, held_out = (spread(dataset.sizes[split], self.spec.samples) for split in ("train", "test"))
        ids, condition = encoded(run, dataset, tokenizer, "test", held_out)
        drawn = draw(plan, tokenizer, prior, draft, ids, condition)
        real = _data(dataset, "test", held_out)
        image = plan.parts["dataset"].form == "image"
        codes = coded(run, TOKENIZER, dataset, tokenizer, "train")
        evidence = Evidence(
            train=_data(dataset, "train", fitted),
            train_reconstructed=_decoded(tokenizer, codes.at(fitted), image=image),
            real=real,
            reconstructed=_decoded(tokenizer, (ids, condition), image=image),
            generated=_decoded(tokenizer, (drawn.ids, condition), image=image),
            ids=ids.cpu(),
            id_nats=scored(prior, ids, condition).cpu(),
            vocabulary=tokenizer.vocabulary,
            levels=dataset.levels,
        )
        run.keep(
            {name: getattr(evidence, name)[:SHOWN] for name in ("real", "reconstructed", "generated")}
        )  # fmt: skip
        numbers: dict[str, Measurement] = {}
        for metric in metrics:
            numbers |= metric(evidence)
        return numbers | _own(evidence, drawn)


def draw(
    plan: Plan, tokenizer: Tokenizer, prior: Prior, draft: Prior | None, ids: Tensor, condition: Tensor | None
) -> Drawn:
    """One sample for each row of held-out `ids`, under its condition."""
    count = len(ids)
    drawn: Drawn = (
        plan.parts["decoder"]
        .build()
        .draw(
            prior,
            ids[:, :0],
            draft=draft,
            limits=Limits(length=tokenizer.length),
            sampling=plan.sampling,
            condition=condition,
            seeds=Noise(plan.seed, "draws").seeds(torch.arange(count)).to(ids.device),
        )
    )
    return drawn


def _own(evidence: Evidence, drawn: Drawn) -> dict[str, Measurement]:
    scale, unit = (
        (1.0, "squared data units") if evidence.levels is None else ((evidence.levels - 1) / 2, "squared levels")
    )
    error = (evidence.real.double() - evidence.reconstructed).square().mean() * scale**2
    emitted = int((drawn.ids >= 0).sum())
    present = evidence.ids[evidence.ids >= 0]
    unigram = unigram_nats(present)
    count = len(evidence.real)
    return {
        "reconstruction_mse": Measurement(float(error), unit, count),
        "codes_used": Measurement(float(len(torch.unique(present))), "codes", count),
        "code_perplexity": Measurement(math.exp(unigram), "codes", count),
        "code_entropy_bits": Measurement(unigram / math.log(2), "bits per id", count),
        "target_calls_per_id": Measurement(float(drawn.target_calls.sum()) / emitted, "calls", emitted),
    }


def spread(size: int, count: int) -> Int[Tensor, " b"]:
    """Evenly spaced places, `count` of `size`; 0 is all."""
    count = min(count or size, size)
    return torch.arange(count) * size // count


def _data(dataset: Dataset, split: str, rows: Int[Tensor, " b"]) -> Tensor:
    return torch.cat([batch.data for batch in batches(dataset, split, rows)])


def _decoded(tokenizer: Tokenizer, codes: tuple[Tensor, Tensor | None], *, image: bool) -> Tensor:
    """What ids stand for, under their conditions; images are cut to the range they are shown and scored in."""
    ids, condition = codes
    chunks = torch.split(torch.arange(len(ids), device=ids.device), CHUNK)
    decoded = torch.cat([tokenizer.decode(ids[chosen], _at(condition, chosen)) for chosen in chunks]).cpu()
    return decoded.clamp(-1, 1) if image else decoded


def _at(condition: Tensor | None, chosen: Tensor) -> Tensor | None:
    return None if condition is None else condition[chosen]


def _to(condition: Tensor | None, run: Run) -> Tensor | None:
    return None if condition is None else condition.to(run.device)
