"""Which codes are nearest to each feature, in tiles of bounded size.

Axes: w feature width, v codes, c of them that are wanted.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

TILE = 2**20
"""Most distances held at once: 4 MiB of float32, which a cache can hold."""


def nearest(features: Float[Tensor, "*many w"], codes: Float[Tensor, "v w"]) -> Int[Tensor, "*many"]:
    """The ids of the nearest codes, the smaller one of two as near; no gradient passes.

    Cost: every distance is taken, at most `TILE` (and at least one feature's) at a time.
    """
    # `argmin` takes 2.4 times as long on a CPU.
    return _picked(features, codes, lambda distances: distances.min(-1).indices)


def nearest_few(features: Float[Tensor, "*many w"], codes: Float[Tensor, "v w"], count: int) -> Int[Tensor, "*many c"]:
    """The ids of the `count` nearest codes, nearest first, any one of two as near; no gradient passes.

    Cost: every distance is taken, at most `TILE` (and at least one feature's) at a time.
    """
    return _picked(features, codes, lambda distances: distances.topk(count, largest=False).indices)


def _picked(features: Tensor, codes: Tensor, pick: Callable[[Tensor], Tensor]) -> Tensor:
    """What `pick` takes out of the half squared distances from features to all codes."""
    features, codes = features.detach(), codes.detach()
    half_squares = codes.square().sum(-1) / 2

    def within(tile: Tensor) -> Tensor:
        return pick(half_squares - tile @ codes.T)  # less |feature|^2 / 2

    rows = max(TILE // len(codes), 1)
    if features[..., 0].numel() <= rows:
        return within(features)
    tiles = torch.split(features.reshape(-1, features.shape[-1]), rows)
    picked = torch.cat([within(tile) for tile in tiles])
    return picked.reshape(*features.shape[:-1], *picked.shape[1:])
