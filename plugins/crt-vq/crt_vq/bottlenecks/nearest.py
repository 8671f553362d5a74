"""Nearest codes of each feature, searched in tiles of bounded size.

Axes: w feature width, v codes, c nearest ones.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

TILE = 2**18
"""Most distances in memory at once: 1 MiB of float32, which fits a core's cache."""
BLOCK = 128
"""Distances whose minimum is taken at once."""


def nearest(features: Float[Tensor, "*many w"], codes: Float[Tensor, "v w"]) -> Int[Tensor, "*many"]:
    """The ids of the nearest codes, ties to the smaller id; no gradient passes.

    Cost: every distance is computed, at most `TILE` (and at least one feature's) at a time.
    """
    return _search(features, codes, least)


def least(numbers: Float[Tensor, "*many v"]) -> Int[Tensor, "*many"]:
    """The index of the least number of each row, the first of equals.

    Cost: long rows are reduced to the least number of each block, which is fast in torch, then searched in one block.
    """
    blocks = numbers.shape[-1] // BLOCK
    if blocks < 16:  # no gain
        return numbers.min(-1).indices  # `argmin` takes 2.4 times as long on a CPU
    heads = numbers[..., : blocks * BLOCK].reshape(*numbers.shape[:-1], blocks, BLOCK).amin(-1)
    tail = numbers[..., blocks * BLOCK :]
    if tail.shape[-1]:
        heads = torch.cat((heads, tail.amin(-1, keepdim=True)), -1)
    start = heads.min(-1, keepdim=True).indices * BLOCK
    places = (start + torch.arange(BLOCK, device=start.device)).clamp(max=numbers.shape[-1] - 1)
    return start[..., 0] + numbers.gather(-1, places).min(-1).indices


def nearest_few(features: Float[Tensor, "*many w"], codes: Float[Tensor, "v w"], count: int) -> Int[Tensor, "*many c"]:
    """The ids of the `count` nearest codes, nearest first, ties in any order; no gradient passes.

    Cost: every distance is computed, at most `TILE` (and at least one feature's) at a time.
    """
    return _search(features, codes, lambda distances: distances.topk(count, largest=False).indices)


def _search(features: Tensor, codes: Tensor, pick: Callable[[Tensor], Tensor]) -> Tensor:
    """What `pick` returns for half the squared distances from features to all codes, tile by tile."""
    dtype = torch.promote_types(features.dtype, torch.float32)  # half precision makes distant codes tie
    many = features.detach().reshape(-1, features.shape[-1]).to(dtype)
    codes = codes.detach().to(dtype)
    half_squares = codes.square().sum(-1) / 2
    tiles = torch.split(many, max(TILE // len(codes), 1))
    # All tiles share one buffer: allocating each costs more time than the products and fragments memory.
    memory = many.new_empty(len(tiles[0]), len(codes))

    def within(tile: Tensor) -> Tensor:
        products = torch.mm(tile, codes.T, out=memory[: len(tile)])
        return pick(torch.sub(half_squares, products, out=products))  # less |feature|^2 / 2

    picked = torch.cat([within(tile) for tile in tiles])
    return picked.reshape(*features.shape[:-1], *picked.shape[1:])
