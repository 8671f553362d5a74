"""Metrics fitted on a run's training data, and what they see of samples in shards."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from crt_run.loading.loaded import LoadedRun
from crt_run.loading.plans import plan_of
from crt_run.shards.draws import Draws
from crt_run.shards.store import Span
from crt_run.training.ids import spread
from crt_run.training.sampling import BATCH, decoded, evidence_of, taken
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Dataset, Evidence, Json, Metric, Train


class Scoring:
    """A run's tokenizer, prior and data, and metrics; sample i stands beside the i-th held-out sample of `split`.

    Raises: RunError if the run has no tokenizer, the split has fewer samples, or a metric cannot be fitted.
    """

    def __init__(self, run: LoadedRun, samples: int, metrics: Sequence[Json], split: str) -> None:
        self.run, self.split = run, split
        plan = plan_of({**run.plan.document, "metric": list(metrics)}, str(run.folder))
        if plan.parts.get("tokenizer") is None:
            raise RunError(f"{run.folder}: expected a run with a tokenizer, as metrics compare what it decodes")
        self.image = plan.parts["dataset"].form == "image"
        self.dataset: Dataset = plan.parts["dataset"].build()
        if split not in self.dataset.sizes:
            raise RunError(f"expected a split, one of {', '.join(self.dataset.sizes)}, got {split!r}")
        if samples > (size := self.dataset.sizes[split]):
            sizes = ", ".join(f"{name} {each:,}" for name, each in self.dataset.sizes.items())
            raise RunError(
                f"expected at most {size:,} samples, as the split {split!r} of the run's data has, got {samples:,}; "
                f"draw fewer, or compare with a larger split ({sizes})"
            )
        self.rows = spread(self.dataset.sizes[split], samples)
        self.metrics: list[Metric] = [spec.build() for spec in plan.parts["metric"]]
        with torch.inference_mode(), as_problems():
            train = self._train(getattr(plan.experiment, "samples", 0))
            for metric in self.metrics:
                metric.fit(train)

    def _train(self, samples: int) -> Train:
        """What the run's own metrics were fitted on; ids of reconstructions are encoded, not read."""
        rows, tokenizer = spread(self.dataset.sizes["train"], samples), self.run.tokenizer
        assert tokenizer.vocabulary is not None  # as it has a prior over its ids

        def reconstructed(chosen: Int[Tensor, " b"]) -> Shaped[Tensor, "b ..."]:
            parts = []
            for some in torch.split(rows[chosen], BATCH):
                batch = self.dataset.take("train", some)
                class_ids = None if batch.class_ids is None else batch.class_ids.to(self.run.device)
                ids = tokenizer.encode(batch.data.to(self.run.device), class_ids)
                parts.append(decoded(tokenizer, ids, class_ids, image=self.image))
            return torch.cat(parts)

        return Train(
            samples=len(rows),
            data=lambda chosen: taken(self.dataset, "train", rows[chosen]),
            reconstructed=reconstructed,
            held_out=len(self.rows),
            vocabulary=tokenizer.vocabulary,
            levels=self.dataset.levels,
            shared={},
        )

    def scored(self, draws: Draws, span: Span, stopping: Callable[[], bool]) -> tuple[list[Metric], int | None]:
        """Copies of the metrics that took the samples of a range of whole shards, and how many have their class.

        That is the class of the held-out sample beside a sample; None: there are no classes.
        Raises: RunError if a shard is damaged or a metric refuses it, Stopped between two batches.
        """
        metrics, alike = copy.deepcopy(self.metrics), 0
        known = self.dataset.classes is not None
        with torch.inference_mode(), as_problems():
            for numbers, shard in self._batches(draws, span):
                if stopping():
                    raise Stopped
                batch = self.dataset.take(self.split, self.rows[numbers])
                evidence = self._evidence(batch, numbers, shard["data"])
                if batch.class_ids is not None and "class_ids" in shard:
                    alike += int((batch.class_ids == shard["class_ids"]).sum())
                for metric in metrics:
                    metric.update(evidence)
        return metrics, alike if known else None

    def _batches(self, draws: Draws, span: Span) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        for index, own in enumerate(draws.spans):
            if not span.first <= own.first < span.first + span.size:
                continue
            shard = draws.shard(index)
            if "data" not in shard:
                raise RunError(f"{draws.folder}: expected samples with data, got ids alone")
            for chosen in torch.split(torch.arange(own.size), BATCH):
                yield own.first + chosen, {name: each[chosen] for name, each in shard.items()}

    def _evidence(self, batch: Any, numbers: Tensor, generated: Tensor) -> Evidence:
        run = self.run
        return evidence_of(run.tokenizer, run.prior, batch, numbers, generated, device=run.device, image=self.image)


@contextmanager
def as_problems() -> Iterator[None]:
    """Turns a metric's ValueError into a problem of the same text.

    Raises: RunError.
    """
    try:
        yield
    except ValueError as error:
        raise RunError(str(error)) from error
