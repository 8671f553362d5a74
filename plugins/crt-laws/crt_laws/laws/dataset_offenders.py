"""Datasets that break one law each: a sound one inside, and one thing changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
    """What they read from, if it has to be kept for as long as they are."""


@attrs.frozen
class Altered:
    """A dataset with one thing changed."""

    inner: Dataset
    sizes: Mapping[str, int]
    classes: int | None
    levels: int | None
    vocabulary: int | None
    checksum: str
    taken: Callable[[Dataset, str, Tensor], Batch]

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Batch:
        """Changed, if that is what is changed."""
        return self.taken(self.inner, split, indices)


def altered(
    take: Callable[[Dataset, str, Tensor], Batch] | None = None,
    *,
    twice: bool = True,
    checksum: str | None = None,
    vocabulary: int | None = None,
    further: str | None = None,
) -> Callable[[Built], Built]:
    """Makes a sound dataset an altered one; `twice`: its other build too."""

    def plant(built: Built) -> Built:
        def change(inner: Dataset) -> Dataset:
            return Altered(
                inner,
                {**inner.sizes, **({further: 1} if further else {})},
                inner.classes,
                inner.levels,
                vocabulary or inner.vocabulary,
                checksum or inner.checksum,
                take or (lambda inner, split, indices: inner.take(split, indices)),
            )

        return attrs.evolve(built, dataset=change(built.dataset), again=change(built.again) if twice else built.again)

    return plant


def leaking(inner: Dataset, split: str, indices: Tensor) -> Batch:
    """The first test image is the first one to train on."""
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
    """Every sample turned round."""
    batch = inner.take(split, indices)
    return batch._replace(data=batch.data.flip(-1))


def between_levels(inner: Dataset, split: str, indices: Tensor) -> Batch:
    """Values shrunk by a hundredth."""
    batch = inner.take(split, indices)
    return batch._replace(data=batch.data * 0.99)


def one_class_more(inner: Dataset, split: str, indices: Tensor) -> Batch:
    """Conditions beyond the classes."""
    batch = inner.take(split, indices)
    return batch._replace(condition=None if batch.condition is None else batch.condition + 1 + (inner.classes or 0))


def wrapping(inner: Dataset, split: str, indices: Tensor) -> Batch:
    """Indices counted round and round."""
    return inner.take(split, indices % inner.sizes[split])


def shared() -> Callable[[Dataset, str, Tensor], Batch]:
    """Hands the same tensors out again for the same indices."""
    kept: dict[tuple[int, str, tuple[int, ...]], Batch] = {}

    def take(inner: Dataset, split: str, indices: Tensor) -> Batch:
        key = (id(inner), split, tuple(indices.tolist()))
        if key not in kept:
            kept[key] = inner.take(split, indices)
        return kept[key]

    return take
