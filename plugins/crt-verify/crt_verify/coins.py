"""The coins of every round of a batch.

Axes: b batch, n rounds' first positions, c coins, m nodes (the root counted).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from crt_verify.drafters.growth import Growth
from crtcore import Noise

AT_ONCE = 2**20
"""Coins that are drawn together at most."""


class Coins(NamedTuple):
    """What a round may use; its number depends on shapes alone."""

    draft: Int[Tensor, "b c"]
    """32 bits each."""
    accept: Int[Tensor, "b m"]
    """24 bits each."""
    final: Int[Tensor, "b m"]
    """32 bits each."""


class Deck:
    """Coins by seed, position, place and purpose: nothing that happens in a row or beside it moves them.

    Cost: a small deck is drawn at once, as a round's share costs hardly less than all of it.
    """

    def __init__(self, growth: Growth, seeds: Int[Tensor, " b"], start: Int[Tensor, " b"], length: int) -> None:
        nodes = 1 + sum(growth.widths)
        self.sizes = [sum(growth.coins), nodes, nodes]
        self.place = torch.cat([torch.arange(size, device=seeds.device) for size in self.sizes])
        purposes = torch.arange(3, device=seeds.device)
        self.purpose = purposes.repeat_interleave(torch.tensor(self.sizes, device=seeds.device))
        self.noise = Noise(seeds[:, None, None], "draft trees")
        self.start = start
        self.rows = torch.arange(len(seeds), device=seeds.device)
        whole = len(seeds) * length * len(self.place) <= AT_ONCE
        self.drawn = self._bits(start[:, None] + torch.arange(length, device=seeds.device)) if whole else None

    def _bits(self, positions: Int[Tensor, "b n"]) -> Int[Tensor, "b n c"]:
        return self.noise.bits(positions[:, :, None], self.place, self.purpose)

    def deal(self, count: Int[Tensor, " b"]) -> Coins:
        """The coins of a round that begins after `count` emitted ids; of a row that has ended, any."""
        if self.drawn is None:
            bits = self._bits((self.start + count)[:, None])[:, 0]
        else:
            bits = self.drawn[self.rows, count.clamp(max=self.drawn.shape[1] - 1)]
        draft, accept, final = torch.split(bits, self.sizes, -1)
        return Coins(draft, accept >> 8, final)
