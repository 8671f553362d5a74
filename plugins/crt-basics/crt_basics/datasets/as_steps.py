"""Rows of ids as reasoning traces that are steps alone.

Axes: b batch, n ids of a row of the other dataset, m = n + 3. Id -1 means absent, only at the right end.
"""

from __future__ import annotations

import hashlib

import torch
from jaxtyping import Int
from torch import Tensor

from crt_basics.datasets.specs import AsSteps
from crt_nn.splits import check
from crtcore.errors import RunError
from crtcore.kinds import Batch

DELIMITERS = 3
"""<think>, <answer> and <end>, the last ids of the vocabulary."""


class Steps:
    """The samples of another dataset, each between <think> and <answer> <end>."""

    levels = None

    def __init__(self, spec: AsSteps) -> None:
        self.inner = spec.dataset.build()
        if self.inner.vocabulary is None:
            raise RunError("as-steps: expected a dataset with a vocabulary, got one without")
        self.classes = self.inner.classes
        self.vocabulary = self.inner.vocabulary + DELIMITERS
        self._rows = {split: _spread(size, spec.samples) for split, size in self.inner.sizes.items()}
        self.sizes = {split: len(rows) for split, rows in self._rows.items()}
        self.checksum = hashlib.sha256(f"{self.inner.checksum} as steps, {spec.samples}".encode()).hexdigest()

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Batch:
        """The traces of `split` at `indices`.

        Raises: ValueError if there is no such split, IndexError if an index is not in it, RunError if the samples have
        loss weights.
        """
        check(self.sizes, split, indices)
        batch = self.inner.take(split, self._rows[split][indices])
        if batch.weight is not None:
            raise RunError("as-steps: expected ids of equal weight, got loss weights; take a dataset without them")
        return Batch(delimited(batch.data, self.vocabulary), batch.class_ids, None)


def delimited(ids: Int[Tensor, "b n"], vocabulary: int) -> Int[Tensor, "b m"]:
    """<think>, then a row's ids, then <answer> and <end>, where these are the last ids of `vocabulary`."""
    think, answer, end = range(vocabulary - DELIMITERS, vocabulary)
    absent = torch.full_like(ids[:, :1], -1)
    rows = torch.cat((absent + 1 + think, ids, absent, absent), 1)
    place = 1 + (ids >= 0).sum(1, keepdim=True)  # b 1
    return rows.scatter(1, place, answer).scatter(1, place + 1, end)


def _spread(size: int, most: int) -> Int[Tensor, " k"]:
    """At most `most` indices below `size`, evenly spaced; 0 is all."""
    count = min(most or size, size)
    return torch.arange(count) * size // count
