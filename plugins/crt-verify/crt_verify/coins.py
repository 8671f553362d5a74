"""The coins of a round, all of them at once.

Axes: b batch, c coins of a draft, m nodes (the root counted).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from crt_verify.drafters.growth import Growth
from crtcore import Noise


class Coins(NamedTuple):
    """What a round may use; its number depends on shapes alone."""

    draft: Int[Tensor, "b c"]
    """32 bits each."""
    accept: Int[Tensor, "b m"]
    """24 bits each."""
    final: Int[Tensor, "b m"]
    """32 bits each."""


def coins(growth: Growth, seeds: Int[Tensor, " b"], position: Int[Tensor, " b"]) -> Coins:
    """Coins by seed, position, place and purpose: nothing that happens in a row or beside it moves them."""
    nodes = 1 + sum(growth.widths)
    sizes = sum(growth.coins), nodes, nodes
    place = torch.cat([torch.arange(size, device=seeds.device) for size in sizes])
    purpose = torch.arange(3, device=seeds.device).repeat_interleave(torch.tensor(sizes, device=seeds.device))
    bits = Noise(seeds[:, None], "draft trees").bits(position[:, None], place, purpose)
    draft, accept, final = torch.split(bits, list(sizes), -1)
    return Coins(draft, accept >> 8, final)
