"""The outline of a dataset: the shape of its samples, as far as it is known before any data are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from crtcore.errors import RunError
from crtcore.kinds import Batch, DatasetSpec


class Outline(NamedTuple):
    """The shape of samples."""

    shape: tuple[int, ...]
    """Axes of a sample."""
    dtype: torch.dtype
    classes: int | None
    vocabulary: int | None
    unknown: str | None
    """What is not known, and why."""


def outlined(spec: DatasetSpec) -> Outline:
    """The outline of a dataset: from its files, or from `spec` alone if they are missing.

    Raises: RunError if neither gives the shape of a sample.
    """
    try:
        dataset = spec.build()
    except RunError as error:
        if spec.sample_shape is None:
            raise
        dtype = torch.int64 if spec.form in ("ids", "trace") else torch.float32
        unknown = f"counted as if there were no classes ({error})"
        return Outline(spec.sample_shape, dtype, None, spec.vocabulary, unknown)
    sample = dataset.take("train", torch.zeros(1, dtype=torch.int64)).data
    return Outline(tuple(sample.shape[1:]), sample.dtype, dataset.classes, dataset.vocabulary, None)


class BlankData:
    """Data of an outline without contents, a batch in each split."""

    levels, checksum = None, ""

    def __init__(self, outline: Outline, batch: int) -> None:
        self.classes, self.vocabulary = outline.classes, outline.vocabulary
        self.sizes: Mapping[str, int] = dict.fromkeys(("train", "validation", "test"), batch)
        self._outline = outline

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Batch:
        """As many samples as there are indices."""
        data = torch.empty(len(indices), *self._outline.shape, dtype=self._outline.dtype)
        class_ids = None if self.classes is None else torch.zeros(len(indices), dtype=torch.int64)
        return Batch(data, class_ids, None)
