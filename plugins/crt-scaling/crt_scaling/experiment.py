"""The scaling study: two tokenizers, and every prior over the ids of each, at every training length."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_basics.metrics.code_length import code_length
from crt_basics.metrics.specs import CodeLength, Frechet, KernelDistance
from crt_basics.metrics.whitened import Whitened, whitened
from crt_cost.flops import counted, non_embedding_parameters, sample_flops
from crt_run.likelihood import scored
from crt_run.streams import numbered
from crt_run.training.ids import StoredIds, batches, encoded, spread
from crt_run.training.objective import Inputs, built, trained
from crt_run.training.sampling import decoded, generator, keep, taken, train_data
from crt_run.training.stages import build_dataset
from crt_scaling.cooled import cooled
from crt_scaling.numbers import Arm, Trial, findings
from crt_scaling.spec import BASELINE, REGULARIZED, Scaling
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Dataset, Evidence, Findings, Measurement, Metric, Plan, Run, StagePlan


class Compressed(NamedTuple):
    """A trained tokenizer, the encoded data, and what is fitted on its training data."""

    name: str
    tokenizer: Any
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
        for name in (BASELINE, REGULARIZED):
            first, *priors = (stage for stage in plan.stages if stage.name.startswith(f"{name}-"))
            inputs = Inputs(first, dataset, run=run)
            compressed = self._compressed(name, inputs, run, dataset, shared)
            trials = list(self._trials(compressed, priors, run, dataset))
            arms[name] = Arm(step_flops(inputs) * first.training.steps, compressed.rest, trials)
        held_out = batches(dataset, "test", spread(dataset.sizes["test"]))
        return findings(arms, torch.cat([compressed.features(batch.data) for batch in held_out]), plan.seed)

    def _compressed(self, name: str, inputs: Inputs, run: Run, dataset: Dataset, shared: dict[str, Any]) -> Compressed:
        tokenizer, plan = trained(inputs), inputs.stage.plan
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
        return Compressed(name, tokenizer, test, metrics, torch.cat(rest), whitened(train, dimensions))

    def _trials(
        self, compressed: Compressed, priors: Sequence[StagePlan], run: Run, dataset: Dataset
    ) -> Iterator[Trial]:
        """Every prior over a tokenizer's ids, after every length of training."""
        results = {f"{compressed.name}-tokenizer": compressed.tokenizer}
        for index, stage in enumerate(priors):
            objective = built(Inputs(stage, dataset, results, run))
            prior: Any = objective.parts["prior"].module
            step = stage.training.batch * sample_flops(prior, objective.ids)
            for length in cooled(stage, objective, self.spec.lengths(stage.training), run):
                drawn, nats = self._drawn(prior, stage, length, compressed, run)
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
        self, prior: Any, stage: StagePlan, length: int, compressed: Compressed, run: Run
    ) -> tuple[Int[Tensor, "b n"], Float[Tensor, " b"]]:
        """Ids that a prior generates and the nats of held-out ids; both are saved, so that a second run reads them."""
        with run.stage(stage, f"drawn-{length}", ("decoder", "sampling")) as opened:
            if not opened.finished:
                generate = generator(stage.plan, run, compressed.tokenizer, prior)
                parts: list[tuple[Tensor, Tensor]] = []
                for chosen in numbered(len(compressed.test.ids)):
                    if run.stopping():
                        raise Stopped
                    ids, class_ids = compressed.test.at(chosen)
                    with torch.inference_mode():
                        parts.append((generate(chosen, class_ids).ids, scored(prior, ids, class_ids)))
                drawn, nats = (torch.cat(each) for each in zip(*parts, strict=True))
                opened.save(length, {"drawn": drawn, "nats": nats}, {"step": length}, final=True)
            saved = opened.latest()
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


def step_flops(inputs: Inputs) -> int:
    """FLOPs of one step of a tokenizer with its regularisers, at the end of training."""
    objective = built(inputs)
    return counted(lambda: objective.loss(0, 1.0).total)
