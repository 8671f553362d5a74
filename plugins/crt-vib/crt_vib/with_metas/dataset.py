"""Another dataset of ids, with METAs inserted at random places.

Axes: b batch, n ids of the inner dataset's sample, t ids of a sample. Id -1 means absent.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from crt_vib.with_metas.spec import WithMetas
from crtcore.kinds import Batch
from crtcore.noise import Noise


class MetaSamples:
    """Samples of ids and METAs; the loss weight of a META is 0."""

    levels = None

    def __init__(self, spec: WithMetas) -> None:
        self._inner = spec.dataset.build()
        self._spec = spec
        assert self._inner.vocabulary is not None  # its data are ids
        self.vocabulary = self._inner.vocabulary + 1
        self.sizes = self._inner.sizes
        self.classes = self._inner.classes
        self.checksum = self._inner.checksum

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Batch:
        """The samples of `split` at `indices`.

        Raises: as the inner dataset.
        """
        batch = self._inner.take(split, indices)
        longer = self._spec.counted == "text"
        text = (batch.data >= 0).sum(-1)  # b
        metas = self._metas(text)
        length = text + metas if longer else text
        full = batch.data.new_tensor(batch.data.shape[1])
        width = int(full + self._metas(full)) if longer else int(full)
        noise = Noise(self._spec.seed, f"places of metas in {split}")
        chosen = random_places(noise.bits(indices[:, None], torch.arange(width)), length, metas)  # b t
        absent = torch.arange(width) >= length[:, None]
        ids = spread(batch.data, chosen).masked_fill(chosen, self.vocabulary - 1).masked_fill(absent, -1)
        inner = torch.ones(batch.data.shape) if batch.weight is None else batch.weight
        return Batch(ids, batch.class_ids, spread(inner, chosen).masked_fill(chosen | absent, 0))

    def _metas(self, ids: Int[Tensor, "*b"]) -> Int[Tensor, "*b"]:
        """The number of METAs for each number of ids."""
        return (self._spec.share * ids.double()).round().long()


def random_places(
    words: Int[Tensor, "b t"], length: Int[Tensor, " b"], count: Int[Tensor, " b"]
) -> Bool[Tensor, "b t"]:
    """Marks `count` of the first `length` places of each row: those with the smallest words."""
    outside = torch.arange(words.shape[1]) >= length[:, None]
    rank = words.masked_fill(outside, 2**32).argsort(dim=-1, stable=True).argsort(dim=-1)
    return rank < count[:, None]


def spread(rows: Shaped[Tensor, "b n"], taken: Bool[Tensor, "b t"]) -> Shaped[Tensor, "b t"]:
    """The entries of each row in order at the places that are not taken; arbitrary values at the others."""
    places = (~taken).cumsum(-1) - 1
    return rows.gather(1, places.clamp(0, rows.shape[1] - 1))
