"""The uniform integers that rounds of decoding consume.

Axes: b batch, n positions at which rounds start, u uniforms of a round, m nodes (the root counted).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from crt_verify.drafters.tree_builder import TreeBuilder
from crtcore import Noise

MOST = 2**20
"""The most uniforms that are drawn at once."""


class Uniforms(NamedTuple):
    """The uniforms of one round; their number depends on shapes alone."""

    draft: Int[Tensor, "b u"]
    """32 bits each."""
    accept: Int[Tensor, "b m"]
    """24 bits each."""
    final: Int[Tensor, "b m"]
    """32 bits each."""


class UniformStream:
    """Uniforms addressed by seed, position, index and purpose, so that no other row or outcome changes them.

    Cost: a small stream is drawn at once, as one round costs nearly as much as all of them.
    """

    def __init__(self, builder: TreeBuilder, seeds: Int[Tensor, " b"], start: Int[Tensor, " b"], length: int) -> None:
        nodes = 1 + sum(builder.widths)
        self.sizes = [sum(builder.uniforms), nodes, nodes]
        self.index = torch.cat([torch.arange(size, device=seeds.device) for size in self.sizes])
        purposes = torch.arange(3, device=seeds.device)
        self.purpose = purposes.repeat_interleave(torch.tensor(self.sizes, device=seeds.device))
        self.noise = Noise(seeds[:, None, None], "draft trees")
        self.start = start
        self.rows = torch.arange(len(seeds), device=seeds.device)
        small = len(seeds) * length * len(self.index) <= MOST
        self.all = self._bits(start[:, None] + torch.arange(length, device=seeds.device)) if small else None

    def _bits(self, positions: Int[Tensor, "b n"]) -> Int[Tensor, "b n u"]:
        return self.noise.bits(positions[:, :, None], self.index, self.purpose)

    def at(self, count: Int[Tensor, " b"]) -> Uniforms:
        """The uniforms of a round that starts after `count` emitted ids; arbitrary ones for a row that has ended."""
        if self.all is None:
            bits = self._bits((self.start + count)[:, None])[:, 0]
        else:
            bits = self.all[self.rows, count.clamp(max=self.all.shape[1] - 1)]
        draft, accept, final = torch.split(bits, self.sizes, -1)
        return Uniforms(draft, accept >> 8, final)
