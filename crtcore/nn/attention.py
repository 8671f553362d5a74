"""Self-attention with rotary positions, along a line unless another way to turn is given.

Axes: b batch, t new positions, s positions seen, w width, h heads, d head width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crtcore.nn.backends import Attend, Wanted, choose
from crtcore.nn.rotary import rotate
from crtcore.nn.scope import Scope

Turn: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Queries or keys `b t h d` and their positions `b t`, to turned ones."""


class Attention(nn.Module):
    """Every position reads those that its scope lets it see."""

    backend: str
    """What computes it, and why; there from the first call on."""

    def __init__(self, width: int, *, heads: int, wanted: Wanted = "auto", turn: Turn = rotate) -> None:
        super().__init__()
        self.heads = heads
        self.wanted: Wanted = wanted
        self.turn = turn
        self.inward = nn.Linear(width, 3 * width, bias=False)
        self.outward = nn.Linear(width, width, bias=False)
        self._chosen: tuple[torch.device, torch.dtype, Attend] | None = None

    def forward(self, features: Float[Tensor, "b t w"], scope: Scope) -> Float[Tensor, "b t w"]:
        """What each position read.

        Raises: ValueError if the wanted backend cannot run on the features' device and type.
        """
        threefold = self.inward(features).unflatten(-1, (3 * self.heads, -1))  # b t 3h d
        turned = self.turn(threefold[:, :, : 2 * self.heads], scope.positions)  # at once, in half the time
        query, key, value = (*turned.chunk(2, 2), threefold[:, :, 2 * self.heads :])  # b t h d
        key, value = scope.remember(self, key, value)  # b s h d
        attend = self._backend(query)
        mixed = attend(query, key, value, scope.visible)
        result: Tensor = self.outward(mixed.flatten(2))
        return result

    def _backend(self, query: Float[Tensor, "b t h d"]) -> Attend:
        if self._chosen is None or self._chosen[:2] != (query.device, query.dtype):
            attend, self.backend = choose(self.wanted, query)
            self._chosen = query.device, query.dtype, attend
        return self._chosen[2]
