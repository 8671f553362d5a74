"""The outline of a dataset: the shape of its samples, from which parts are built without reading any data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from crtcore.kinds import Batch, Dataset


class Outline(NamedTuple):
    """The shape of samples."""

    shape: tuple[int, ...]
    """Axes of a sample."""
    dtype: torch.dtype
    classes: int | None
    vocabulary: int | None
    unknown: str | None = None
    """What is not known, and why."""

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON: what `read_outline` reads."""
        kind = str(self.dtype).removeprefix("torch.")
        return {"shape": list(self.shape), "dtype": kind, "classes": self.classes, "vocabulary": self.vocabulary}


def outline_of(dataset: Dataset) -> Outline:
    """The outline of a dataset, by its first sample."""
    sample = dataset.take("train", torch.zeros(1, dtype=torch.int64)).data
    return Outline(tuple(sample.shape[1:]), sample.dtype, dataset.classes, dataset.vocabulary)


def read_outline(plain: Mapping[str, Any]) -> Outline:
    """The outline that `Outline.plain` wrote.

    Raises: ValueError if it is not one.
    """
    shape, dtype = plain.get("shape"), getattr(torch, str(plain.get("dtype")), None)
    counts = [plain.get("classes"), plain.get("vocabulary")]
    if not isinstance(shape, list) or not all(type(each) is int and each > 0 for each in shape):
        raise ValueError(f"expected the axes of a sample, got {shape!r:.80}")
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"expected the type of a sample, got {plain.get('dtype')!r:.80}")
    if not all(each is None or (type(each) is int and each > 0) for each in counts):
        raise ValueError(f"expected numbers of classes and ids, got {counts!r:.80}")
    return Outline(tuple(shape), dtype, *counts)


class BlankData:
    """Data of an outline without contents, a batch in each split."""

    levels, checksum = None, ""

    def __init__(self, outline: Outline, batch: int) -> None:
        self.classes, self.vocabulary = outline.classes, outline.vocabulary
        self.sizes: Mapping[str, int] = dict.fromkeys(("train", "validation", "test"), batch)
        self._outline = outline

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Batch:
        """As many samples as there are indices."""
        data = torch.zeros(len(indices), *self._outline.shape, dtype=self._outline.dtype)
        class_ids = None if self.classes is None else torch.zeros(len(indices), dtype=torch.int64)
        return Batch(data, class_ids, None)
