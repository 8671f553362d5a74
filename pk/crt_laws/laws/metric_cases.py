"""The samples that a metric is tested on, whole or in batches.

Axes: b held-out samples, t training samples, n ids of a sample.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crtcore.kinds import Evidence, Measurement, Metric, Train

LEVELS, VOCABULARY = 17, 8


class Samples(NamedTuple):
    """All samples of a run."""

    train: Float[Tensor, "t ..."]
    train_reconstructed: Float[Tensor, "t ..."]
    real: Float[Tensor, "b ..."]
    reconstructed: Float[Tensor, "b ..."]
    generated: Float[Tensor, "b ..."]
    ids: Int[Tensor, "b n"]
    id_nats: Float[Tensor, " b"]
    vocabulary: int = VOCABULARY
    levels: int | None = LEVELS

    def fitting(self) -> Train:
        """What a metric is fitted on."""
        return Train(
            samples=len(self.train),
            data=lambda rows: self.train[rows],
            reconstructed=lambda rows: self.train_reconstructed[rows],
            held_out=len(self.real),
            vocabulary=self.vocabulary,
            levels=self.levels,
            shared={},
        )

    def batch(self, rows: Int[Tensor, " b"]) -> Evidence:
        """The held-out samples `rows`."""
        parts = self.real, self.reconstructed, self.generated, self.ids, self.id_nats
        return Evidence(rows, *(part[rows] for part in parts))


def measured(metric: Metric, samples: Samples, batches: Iterable[Tensor] | None = None) -> dict[str, Measurement]:
    """The numbers of a metric, after the held-out samples came in `batches` of row numbers; None: in one."""
    metric.fit(samples.fitting())
    for rows in [torch.arange(len(samples.real))] if batches is None else batches:
        metric.update(samples.batch(rows))
    return metric.compute()


def images(seed: int, held_out: int, train: int, side: int) -> Samples:
    """Random images of one channel on 17 levels, noisy reconstructions, and independent ids and draws."""
    generator = torch.Generator().manual_seed(seed)

    def on_levels(count: int) -> Tensor:
        levels = torch.randint(LEVELS, (count, 1, side, side), generator=generator)
        return levels / ((LEVELS - 1) / 2) - 1

    def noisy(data: Tensor) -> Tensor:
        return (data + 0.2 * torch.randn(data.shape, generator=generator)).clamp(-1, 1)

    real, known = on_levels(held_out), on_levels(train)
    return Samples(
        train=known,
        train_reconstructed=noisy(known),
        real=real,
        reconstructed=noisy(real),
        generated=noisy(on_levels(held_out)),
        ids=torch.randint(VOCABULARY, (held_out, 3), generator=generator),
        id_nats=4 * torch.rand(held_out, generator=generator),
    )
