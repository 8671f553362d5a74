"""Self-attention with rotary positions, along a line unless another way to turn is given.

Axes: b batch, t new positions, s positions seen, w width, h heads, g heads of keys and values, d head width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crt_nn.backends import Attend, Backend, choose
from crt_nn.context import AttentionContext
from crt_nn.rotary import rotate

Rope: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Queries or keys `b t h d` and their positions `b t`, to turned ones."""


class Attention(nn.Module):
    """Every position reads those that its scope lets it see.

    With fewer `key_heads` than heads, a head of keys and values serves several neighbouring heads of queries, and a
    session keeps no more than that.
    Source: Ainslie et al. (2023), arXiv:2305.13245, section 2.2.
    """

    backend_in_use: str
    """The backend that computes it, and why; set by the first call."""

    def __init__(
        self,
        width: int,
        *,
        heads: int,
        key_heads: int | None = None,
        backend: Backend = "auto",
        rope: Rope = rotate,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.key_heads = key_heads or heads
        self.backend: Backend = backend
        self.rope = rope
        self.inward = nn.Linear(width, width // heads * (heads + 2 * self.key_heads), bias=False)
        self.outward = nn.Linear(width, width, bias=False)
        self._chosen: tuple[torch.device, torch.dtype, Attend] | None = None

    def forward(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """What each position read.

        Raises: ValueError if the wanted backend cannot run on the features' device and type.
        """
        turning = self.heads + self.key_heads
        joint = self.inward(features).unflatten(-1, (turning + self.key_heads, -1))  # b t h+2g d
        turned = self.rope(joint[:, :, :turning], context.positions)  # at once, in half the time
        query, key = turned[:, :, : self.heads], turned[:, :, self.heads :]  # b t h d, b t g d
        key, value = context.update(self, key, joint[:, :, turning:])  # b s g d
        attend = self._backend(query)
        mixed = attend(query, key, value, context.visible)
        result: Tensor = self.outward(mixed.flatten(2))
        return result

    def _backend(self, query: Float[Tensor, "b t h d"]) -> Attend:
        if self._chosen is None or self._chosen[:2] != (query.device, query.dtype):
            attend, self.backend_in_use = choose(self.backend, query)
            self._chosen = query.device, query.dtype, attend
        return self._chosen[2]
