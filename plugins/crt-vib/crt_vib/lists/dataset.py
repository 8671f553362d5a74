"""Rows of named lists, computed from a seed and an index in integers: the same everywhere.

Axes: b batch, n ids of a row, l lists, i items of a list, p parts of a content. Id -1 means absent.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from crt_vib.lists.spec import NAMES, Lists
from crtcore import Noise
from crtcore.kinds import Batch
from crtcore.splits import check

SIDES = {"train": (0, 1), "validation": (2,), "test": (3,)}
"""Split to its contents, of four kinds: a random half is there to train on, a quarter for each of the others."""
SAMPLED = 64
"""Rows of each split that the checksum is of."""


class Contents(NamedTuple):
    """What rows say, before label noise."""

    names: Int[Tensor, "b l"]
    items: Int[Tensor, "b l i"]
    asked: Int[Tensor, " b"]
    """The list that is asked for."""
    place: Int[Tensor, " b"]
    """The item of it."""
    answer: Int[Tensor, " b"]
    """What it is, label noise and all."""


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
        found = hashlib.sha256(repr(spec).encode())
        for split, size in self.sizes.items():
            found.update(self.take(split, torch.arange(min(size, SAMPLED))).data.numpy().tobytes())
        self.checksum = found.hexdigest()

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Batch:
        """The rows of `split` at `indices`.

        Raises: ValueError if there is no such split, IndexError if an index is not in it.
        """
        check(self.sizes, split, indices)
        said = self._contents(split, indices)
        ids = torch.cat((self._question(said), said.answer[:, None]), 1)  # b n
        if self.spec.meta != "none":
            every = torch.ones_like(indices, dtype=torch.bool)
            ids = self._interrupted(ids, every if self.spec.meta == "final" else indices % 2 == 1)
        last = (ids >= 0).sum(1, keepdim=True) - 1
        return Batch(ids, None, torch.zeros(ids.shape).scatter_(1, last, 1.0))

    def cases(self, ids: Int[Tensor, "b n"]) -> Int[Tensor, " b"]:
        """The item that each row asks for, whatever its answer is."""
        spec = self.spec
        width = spec.lists * (1 + spec.items)
        lists = ids[:, :width].view(len(ids), spec.lists, 1 + spec.items)
        asked = (lists[..., 0] == ids[:, width + 1, None]).int().argmax(1)
        place = ids[:, width + 2] - (spec.symbols + NAMES + 1)
        return lists[torch.arange(len(ids), device=ids.device), asked, 1 + place]

    def _question(self, said: Contents) -> Int[Tensor, "b n"]:
        """The ids before the answer."""
        symbols = self.spec.symbols
        lists = torch.cat((symbols + said.names[..., None], said.items), 2).flatten(1)
        name = symbols + said.names.gather(1, said.asked[:, None])
        mark = torch.full_like(name, symbols + NAMES)
        return torch.cat((lists, mark, name, mark + 1 + said.place[:, None]), 1)

    def _interrupted(self, ids: Int[Tensor, "b n"], there: Bool[Tensor, " b"]) -> Int[Tensor, "b n+1"]:
        """Rows with META before their answer where it is to be `there`; the others end one id sooner."""
        answer, absent = ids[:, -1], torch.full_like(ids[:, -1], -1)
        meta = torch.full_like(answer, self.vocabulary - 1)
        ends = torch.where(there, meta, answer), torch.where(there, answer, absent)
        return torch.cat((ids[:, :-1], torch.stack(ends, 1)), 1)

    def _contents(self, split: str, indices: Int[Tensor, " b"]) -> Contents:
        """What is at `indices`: the first of the contents drawn for it that belongs to the split."""
        sides = torch.tensor(SIDES[split])
        noise = Noise(self.spec.seed, f"lists of {split}")
        attempt, said = 0, self._drawn(noise, indices, 0)
        while len(left := torch.isin(self._kind(said), sides, invert=True).nonzero().flatten()):
            attempt += 1
            for kept, new in zip(said, self._drawn(noise, indices[left], attempt), strict=True):
                kept[left] = new
        return said

    def _drawn(self, noise: Noise, indices: Int[Tensor, " b"], attempt: int) -> Contents:
        """Contents of any split.

        Bounded integers are even but for one part in 2**32 / bound.
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

    def _kind(self, said: Contents) -> Int[Tensor, " b"]:
        """The kind of contents, of four: a random sum that moving all symbols on alike leaves as it is."""
        moved = (said.items - said.items[:, :1, :1]) % self.spec.symbols
        parts = torch.cat((said.names, moved.flatten(1), said.asked[:, None], said.place[:, None]), 1)  # b p
        return self._kinds[torch.arange(parts.shape[1]), parts].sum(1) & 3
