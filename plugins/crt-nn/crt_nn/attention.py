"""Self-attention with rotary positions.

Axes: b batch, t new positions, s positions seen, w width, h heads, g heads of keys and values, d head width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crt_nn.backends import Attend, Backend, choose
from crt_nn.context import AttentionContext
from crt_nn.norm import RMSNorm
from crt_nn.packed import Packed
from crt_nn.rotary import rotate, rotations

Rope: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Maps queries and keys `b t h d` and positions `b t` to the rotations of positions, complex `b t 1 p`."""


class AttentionForm(NamedTuple):
    """How attention departs from heads that fill the width, without biases or norms."""

    channels: int | None = None
    """Channels of a head; None: width over heads."""
    inward_bias: bool = False
    """Queries, keys and values have a bias."""
    outward_bias: bool = False
    """The product back has one."""
    norm_epsilon: float | None = None
    """Queries and keys are normalised in each head, with gains; None: they are not.

    Source: Qwen Team (2025), arXiv:2505.09388, section 2; after Dehghani et al. (2023), arXiv:2302.05442, section 2.
    """


PLAIN = AttentionForm()


class Attention(nn.Module):
    """Multi-head attention; with fewer `key_heads` than heads, grouped-query attention.

    A head of keys and values then serves several neighbouring heads of queries, and the KV cache is smaller by as much.
    Source: Ainslie et al. (2023), arXiv:2305.13245, section 2.2.
    """

    backend: str
    """The backend that computes it, and why; set by the first call."""

    def __init__(
        self,
        width: int,
        *,
        heads: int,
        key_heads: int | None = None,
        backend: Backend = "auto",
        rope: Rope = rotations,
        form: AttentionForm = PLAIN,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.key_heads = key_heads or heads
        self.wanted: Backend = backend
        self.rope = rope
        self.channels = channels = form.channels or width // heads
        self.inward = nn.Linear(width, channels * (heads + 2 * self.key_heads), bias=form.inward_bias)
        self.outward = nn.Linear(channels * heads, width, bias=form.outward_bias)
        normed = form.norm_epsilon
        self.query_norm = None if normed is None else RMSNorm(channels, epsilon=normed)
        self.key_norm = None if normed is None else RMSNorm(channels, epsilon=normed)
        self._packed: tuple[Packed, Packed] | None = None
        self._chosen: tuple[torch.device, torch.dtype, Attend] | None = None

    def forward(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """Attends from each position to those that are visible to it.

        Raises: ValueError if the backend cannot run on the features' device and type.
        """
        rotated = self.heads + self.key_heads
        packed = self._packed if self._packed is not None and not torch.is_grad_enabled() else None
        inward, outward = packed or (self.inward, self.outward)
        joint = inward(features).unflatten(-1, (rotated + self.key_heads, -1))  # b t h+2g d
        by = context.once((self.rope, joint.dtype), lambda: self.rope(joint, context.positions))  # b t 1 p
        turned = joint[:, :, :rotated]
        if self.query_norm is not None and self.key_norm is not None:
            normed = self.query_norm(turned[:, :, : self.heads]), self.key_norm(turned[:, :, self.heads :])
            turned = torch.cat(normed, 2)
        queries_keys = rotate(turned, by)  # one call takes half the time of two
        query, key = queries_keys[:, :, : self.heads], queries_keys[:, :, self.heads :]  # b t h d, b t g d
        key, value = context.update(self, key, joint[:, :, rotated:])  # b s g d
        attend = self._backend(query)
        mixed = attend(query, key, value, context.visible)
        result: Tensor = outward(mixed.flatten(2))
        return result

    def pack(self) -> None:
        """Packs the weights."""
        self._packed = Packed.of(self.inward), Packed.of(self.outward)

    def _backend(self, query: Float[Tensor, "b t h d"]) -> Attend:
        if self._chosen is None or self._chosen[:2] != (query.device, query.dtype):
            attend, self.backend = choose(self.wanted, query)
            self._chosen = query.device, query.dtype, attend
        return self._chosen[2]
