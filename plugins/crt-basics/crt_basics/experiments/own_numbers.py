"""Numbers of every two-stage run, whatever its metrics: error, use of codes, and calls of the target."""

from __future__ import annotations

import math

import torch

from crt_basics.experiments.compression import error_scale
from crt_basics.metrics.code_length import entropy_nats
from crtcore.kinds import Evidence, Generation, Measurement


class OwnNumbers:
    """Sums and counts over batches."""

    def __init__(self, vocabulary: int, levels: int | None) -> None:
        self.levels = levels
        self.samples = self.elements = self.emitted = self.calls = 0
        self.error = 0.0
        self.counts = torch.zeros(vocabulary, dtype=torch.int64)

    def update(self, batch: Evidence, generation: Generation) -> None:
        """Takes a batch, and how its samples were generated."""
        self.samples += len(batch.real)
        self.elements += batch.real.numel()
        self.error += float((batch.real.double() - batch.reconstructed).square().sum())
        self.counts += torch.bincount(batch.ids[batch.ids >= 0], minlength=len(self.counts))
        self.emitted += int((generation.ids >= 0).sum())
        self.calls += int(generation.target_calls.sum())

    def compute(self) -> dict[str, Measurement]:
        """The numbers by name."""
        scale, unit = error_scale(self.levels)
        nats = entropy_nats(self.counts)
        return {
            "reconstruction_mse": Measurement(self.error / self.elements * scale**2, unit, self.samples),
            "codes_used": Measurement(float((self.counts > 0).sum()), "codes", self.samples),
            "code_perplexity": Measurement(math.exp(nats), "codes", self.samples),
            "code_entropy_bits": Measurement(nats / math.log(2), "bits per id", self.samples),
            "target_calls_per_id": Measurement(self.calls / self.emitted, "calls", self.emitted),
        }
