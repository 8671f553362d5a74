"""Rows of named lists, computed from a seed and an index in integers: the same on every machine.

Axes: b batch, n ids of a row, l lists, i items of a list, p parts of a content. Id -1 means absent.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from crt_nn.splits import check
from crt_vib.lists.spec import NAMES, Lists
from crtcore import Noise
from crtcore.kinds import Batch

SPLIT_KINDS = {"train": (0, 1), "validation": (2,), "test": (3,)}
"""Split to its kinds of contents, of four: a random half to train on, a quarter for each of the others."""
CHECKSUM_ROWS = 64
"""Rows of each split that the checksum covers."""


class Contents(NamedTuple):
    """The parts of rows."""

    names: Int[Tensor, "b l"]
    items: Int[Tensor, "b l i"]
    asked: Int[Tensor, " b"]
    """The list that is asked for."""
    place: Int[Tensor, " b"]
    """The place of the item in it."""
    answer: Int[Tensor, " b"]
    """The item, after label noise."""


class NamedLists:
    """Lists of symbols, each under a name, and an item that is asked for."""

    classes = None
    levels = None

    def __init__(self, spec: Lists) -> None:
        self.spec = spec
        self.vocabulary = spec.vocabulary
        self.sizes = {"train": spec.train, "validation": spec.validation, "test": spec.test}
        parts = torch.arange(spec.lists * (1 + spec.items) + 2)[:, None]
        values = torch.arange(max(NAMES, spec.symbols, spec.items))
        self._kinds = Noise(spec.seed, "splits of lists").bits(parts, values) >> 30  # p values
        checksum = hashlib.sha256(repr(spec).encode())
        for split, size in self.sizes.items():
            checksum.update(self.take(split, torch.arange(min(size, CHECKSUM_ROWS))).data.numpy().tobytes())
        self.checksum = checksum.hexdigest()

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Batch:
        """The rows of `split` at `indices`.

        Raises: ValueError if there is no such split, IndexError if an index is not in it.
        """
        check(self.sizes, split, indices)
        contents = self._contents(split, indices)
        ids = torch.cat((self._question(contents), contents.answer[:, None]), 1)  # b n
        if self.spec.meta != "none":
            every = torch.ones_like(indices, dtype=torch.bool)
            ids = self._with_meta(ids, every if self.spec.meta == "final" else indices % 2 == 1)
        last = (ids >= 0).sum(1, keepdim=True) - 1
        return Batch(ids, None, torch.zeros(ids.shape).scatter_(1, last, 1.0))

    def cases(self, ids: Int[Tensor, "b n"]) -> Int[Tensor, " b"]:
        """The item that each row asks for, before label noise."""
        spec = self.spec
        width = spec.lists * (1 + spec.items)
        lists = ids[:, :width].view(len(ids), spec.lists, 1 + spec.items)
        asked = (lists[..., 0] == ids[:, width + 1, None]).int().argmax(1)
        place = ids[:, width + 2] - (spec.symbols + NAMES + 1)
        return lists[torch.arange(len(ids), device=ids.device), asked, 1 + place]

    def _question(self, contents: Contents) -> Int[Tensor, "b n"]:
        """The ids before the answer."""
        symbols = self.spec.symbols
        lists = torch.cat((symbols + contents.names[..., None], contents.items), 2).flatten(1)
        name = symbols + contents.names.gather(1, contents.asked[:, None])
        mark = torch.full_like(name, symbols + NAMES)
        return torch.cat((lists, mark, name, mark + 1 + contents.place[:, None]), 1)

    def _with_meta(self, ids: Int[Tensor, "b n"], has_meta: Bool[Tensor, " b"]) -> Int[Tensor, "b n+1"]:
        """Rows with META before their answer where `has_meta`; the others end one id sooner."""
        answer, absent = ids[:, -1], torch.full_like(ids[:, -1], -1)
        meta = torch.full_like(answer, self.vocabulary - 1)
        ends = torch.where(has_meta, meta, answer), torch.where(has_meta, answer, absent)
        return torch.cat((ids[:, :-1], torch.stack(ends, 1)), 1)

    def _contents(self, split: str, indices: Int[Tensor, " b"]) -> Contents:
        """The contents at `indices`: the first drawn for each that belong to the split."""
        kinds = torch.tensor(SPLIT_KINDS[split])
        noise = Noise(self.spec.seed, f"lists of {split}")
        attempt, contents = 0, self._drawn(noise, indices, 0)
        while len(left := torch.isin(self._kind(contents), kinds, invert=True).nonzero().flatten()):
            attempt += 1
            for kept, new in zip(contents, self._drawn(noise, indices[left], attempt), strict=True):
                kept[left] = new
        return contents

    def _drawn(self, noise: Noise, indices: Int[Tensor, " b"], attempt: int) -> Contents:
        """Contents of any split.

        Bounded integers are uniform up to one part in 2**32 / bound.
        """
        lists, items, symbols = self.spec.lists, self.spec.items, self.spec.symbols
        words = noise.bits(indices[:, None], attempt, torch.arange(NAMES + lists * items + 4))
        named, listed, (asked, place, coin, other) = (
            words[:, :NAMES], words[:, NAMES:-4].reshape(-1, lists, items), words[:, -4:].unbind(1)
        )  # fmt: skip
        inside, asked, place = listed * symbols >> 32, asked * lists >> 32, place * items >> 32
        true = inside[torch.arange(len(indices)), asked, place]
        replaced = coin < round(self.spec.noise * 2**32)
        return Contents(
            named.argsort(dim=1, stable=True)[:, :lists], inside, asked, place,
            torch.where(replaced, other * symbols >> 32, true),
        )  # fmt: skip

    def _kind(self, contents: Contents) -> Int[Tensor, " b"]:
        """The kind of contents, of four: a random hash that a cyclic shift of all symbols does not change."""
        shifted = (contents.items - contents.items[:, :1, :1]) % self.spec.symbols
        parts = torch.cat(
            (contents.names, shifted.flatten(1), contents.asked[:, None], contents.place[:, None]), 1
        )  # b p
        return self._kinds[torch.arange(parts.shape[1]), parts].sum(1) & 3
