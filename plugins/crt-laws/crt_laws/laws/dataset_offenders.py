"""Datasets that break one law each: a sound dataset with one change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import torch
from jaxtyping import Int
from torch import Tensor

from crtcore.kinds import Batch, Dataset


@attrs.frozen
class Built:
    """A dataset, another build of the same spec, and the form of its data."""

    dataset: Dataset
    again: Dataset
    form: str
    folder: object = None
    """The folder that they read, kept for as long as they are."""


@attrs.frozen
class Altered:
    """A sound dataset with one change."""

    inner: Dataset
    sizes: Mapping[str, int]
    classes: int | None
    levels: int | None
    vocabulary: int | None
    checksum: str
    taken: Callable[[Dataset, str, Tensor], Batch]

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Batch:
        """The sound batch, changed by `taken`."""
        return self.taken(self.inner, split, indices)


def altered(
    take: Callable[[Dataset, str, Tensor], Batch] | None = None,
    *,
    twice: bool = True,
    checksum: str | None = None,
    vocabulary: int | None = None,
    further: str | None = None,
    unclassed: bool = False,
) -> Callable[[Built], Built]:
    """Makes the change to a sound dataset and, if `twice`, to its other build.

    `further` names one more split; `unclassed` drops the classes and keeps the class ids.
    """

    def plant(built: Built) -> Built:
        def change(inner: Dataset) -> Dataset:
            return Altered(
                inner,
                {**inner.sizes, **({further: 1} if further else {})},
                None if unclassed else inner.classes,
                inner.levels,
                vocabulary or inner.vocabulary,
                checksum or inner.checksum,
                take or (lambda inner, split, indices: inner.take(split, indices)),
            )

        return attrs.evolve(built, dataset=change(built.dataset), again=change(built.again) if twice else built.again)

    return plant


class LastBegun:
    """The batch that was begun last is taken, whatever is asked for."""

    def __init__(self, inner: Dataset) -> None:
        self._inner = inner
        self._begun: Int[Tensor, " b"] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def prefetch(self, split: str, indices: Int[Tensor, " b"]) -> None:
        """Begins a batch."""
        self._begun = indices

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Batch:
        """The batch that was begun last, or else the one that is asked for."""
        return self._inner.take(split, indices if self._begun is None else self._begun)


def last_begun(built: Built) -> Built:
    """Makes the change to a sound dataset."""
    changed: Any = LastBegun(built.dataset)
    return attrs.evolve(built, dataset=changed)


def leaking(inner: Dataset, split: str, indices: Tensor) -> Batch:
    """The first test image is the first training image."""
    batch = inner.take(split, indices)
    if split != "test":
        return batch
    leaked = inner.take("train", torch.zeros_like(indices))
    first = indices == 0
    return batch._replace(data=torch.where(first[:, None, None, None], leaked.data, batch.data))


def in_order(inner: Dataset, split: str, indices: Tensor) -> Batch:
    """Rows in the order of their indices."""
    return inner.take(split, indices.sort().values)


def mirrored(inner: Dataset, split: str, indices: Tensor) -> Batch:
    """Every sample mirrored."""
    batch = inner.take(split, indices)
    return batch._replace(data=batch.data.flip(-1))


def flattened(inner: Dataset, split: str, indices: Tensor) -> Batch:
    """A row of numbers for each image."""
    batch = inner.take(split, indices)
    return batch._replace(data=batch.data.flatten(1))


def beyond_the_vocabulary(inner: Dataset, split: str, indices: Tensor) -> Batch:
    """Ids raised by the vocabulary."""
    batch = inner.take(split, indices)
    return batch._replace(data=torch.where(batch.data < 0, -1, batch.data + (inner.vocabulary or 0)))


def between_levels(inner: Dataset, split: str, indices: Tensor) -> Batch:
    """Values shrunk by a hundredth."""
    batch = inner.take(split, indices)
    return batch._replace(data=batch.data * 0.99)


def one_class_more(inner: Dataset, split: str, indices: Tensor) -> Batch:
    """Class ids beyond the classes."""
    batch = inner.take(split, indices)
    return batch._replace(class_ids=None if batch.class_ids is None else batch.class_ids + 1 + (inner.classes or 0))


def wrapping(inner: Dataset, split: str, indices: Tensor) -> Batch:
    """Indices modulo the size of the split."""
    return inner.take(split, indices % inner.sizes[split])


def shared() -> Callable[[Dataset, str, Tensor], Batch]:
    """The same tensors again for the same indices."""
    kept: dict[tuple[int, str, tuple[int, ...]], Batch] = {}

    def take(inner: Dataset, split: str, indices: Tensor) -> Batch:
        key = (id(inner), split, tuple(indices.tolist()))
        if key not in kept:
            kept[key] = inner.take(split, indices)
        return kept[key]

    return take
