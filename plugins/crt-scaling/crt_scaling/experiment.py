"""The scaling study: two tokenizers, and every prior over the ids of each, at every training length."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from crt_basics.metrics.code_length import fitted_width, residual_bits
from crt_basics.metrics.specs import CodeLength, Frechet, KernelDistance
from crt_basics.metrics.whitened import Whitened, whitened
from crt_cost.flops import counted, non_embedding_parameters, sample_flops
from crt_run.likelihood import scored
from crt_run.training.ids import encoded, spread
from crt_run.training.objective import Inputs, built, trained
from crt_run.training.stages import Split, build_dataset, decoded, evidence, generated, keep, taken
from crt_scaling.cooled import cooled
from crt_scaling.numbers import Arm, Trial, findings
from crt_scaling.spec import BASELINE, REGULARIZED, Scaling
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Dataset, Evidence, Findings, Measurement, Plan, Run, StagePlan


class Compressed(NamedTuple):
    """A trained tokenizer, and the encoded data."""

    name: str
    tokenizer: Any
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
        for name in (BASELINE, REGULARIZED):
            first, *priors = (stage for stage in plan.stages if stage.name.startswith(f"{name}-"))
            inputs = Inputs(first, dataset, run=run)
            compressed = self._compressed(name, inputs, run, dataset)
            arms[name] = Arm(
                step_flops(inputs) * first.training.steps,
                rest_bits(compressed.evidence, dataset.levels),
                list(self._trials(compressed, priors, features, run, dataset)),
            )
        return findings(arms, features(taken(dataset, "test", spread(dataset.sizes["test"]))), plan.seed)

    def _compressed(self, name: str, inputs: Inputs, run: Run, dataset: Dataset) -> Compressed:
        tokenizer, plan = trained(inputs), inputs.stage.plan
        rows = {split: spread(dataset.sizes[split]) for split in ("train", "test")}
        train, test = (Split(own, *encoded(run, dataset, tokenizer, split, own)) for split, own in rows.items())
        with torch.inference_mode():
            zeros = torch.zeros(len(test.ids))
            samples = evidence(plan, dataset, tokenizer, train, test, drawn=test.ids, id_nats=zeros)
        run.note_backends(f"{name} tokenizer", tokenizer)
        return Compressed(name, tokenizer, test, samples)

    def _trials(
        self, compressed: Compressed, priors: Sequence[StagePlan], features: Whitened, run: Run, dataset: Dataset
    ) -> Iterator[Trial]:
        """Every prior over a tokenizer's ids, after every length of training."""
        results = {f"{compressed.name}-tokenizer": compressed.tokenizer}
        for index, stage in enumerate(priors):
            objective = built(Inputs(stage, dataset, results, run))
            prior: Any = objective.parts["prior"].module
            step = stage.training.batch * sample_flops(prior, objective.ids)
            for length in cooled(stage, objective, self.spec.lengths(stage.training), run):
                samples = self._sampled(prior, stage, length, compressed, run)
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

    def _sampled(self, prior: Any, stage: StagePlan, length: int, compressed: Compressed, run: Run) -> Evidence:
        """Samples of a prior and the nats of held-out ids; both are saved, so that a second run reads them."""
        if run.stopping():
            raise Stopped
        tokenizer, (_, ids, class_ids) = compressed.tokenizer, compressed.test
        with run.stage(stage, f"drawn-{length}", ("decoder", "sampling")) as opened:
            if not opened.finished:
                with torch.inference_mode():
                    drawn = generated(stage.plan, run, tokenizer, prior, ids, class_ids).ids
                    nats = scored(prior, ids, class_ids)
                opened.save(length, {"drawn": drawn, "nats": nats}, {"step": length}, final=True)
            saved = opened.latest()
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


def step_flops(inputs: Inputs) -> int:
    """FLOPs of one step of a tokenizer with its regularisers, at the end of training."""
    objective = built(inputs)
    return counted(lambda: objective.loss(0, 1.0).total)
