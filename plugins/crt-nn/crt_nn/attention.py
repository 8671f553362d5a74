"""Self-attention with rotary positions.

Axes: b batch, t new positions, s positions seen, w width, h heads, g heads of keys and values, d head width,
m = h + 2g heads of all kinds, c = m d, e = h d.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from crt_nn.backends import Attend, Backend, additive, choose, sdpa
from crt_nn.context import AttentionContext
from crt_nn.native import kernels
from crt_nn.norm import RMSNorm
from crt_nn.packed import Packed, native
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
        self.packed: tuple[Packed, Packed] | None = None
        self._chosen: tuple[torch.device, torch.dtype, Attend] | None = None

    def forward(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """Attends from each position to those that are visible to it.

        Raises: ValueError if the backend cannot run on the features' device and type.
        """
        packed = None if torch.is_grad_enabled() else self.packed
        inward, outward = packed or (self.inward, self.outward)
        result: Tensor = outward(self._mixed(inward(features), context))
        return result

    def onto(
        self, stream: Float[Tensor, "b t w"], features: Float[Tensor, "b t w"], context: AttentionContext
    ) -> Float[Tensor, "b t w"]:
        """Returns the stream with what `forward` returns added to it."""
        if self.packed is not None and not torch.is_grad_enabled():
            inward, outward = self.packed
            return outward(self._mixed(inward(features), context), stream)
        added: Tensor = stream + self(features, context)
        return added

    def _mixed(self, joint: Float[Tensor, "b t c"], context: AttentionContext) -> Float[Tensor, "b t e"]:
        """Returns the mixed values of all heads, from queries, keys and values that lie behind one another."""
        batch, new = joint.shape[:2]
        joint = joint.view(batch, new, joint.shape[-1] // self.channels, self.channels)
        if self.packed is not None and self.wanted == "auto" and native() and not torch.is_grad_enabled():
            return self._by_kernels(joint, context).flatten(2)
        query, key, value = self.parts(joint, context)
        attend, visible = self._backend(query), context.visible
        if attend is sdpa and visible is not None:
            visible = context.once((visible, query.dtype), partial(additive, visible, query.dtype))
        return attend(query, key, value, visible).flatten(2)

    def parts(
        self, joint: Float[Tensor, "b t m d"], context: AttentionContext
    ) -> tuple[Float[Tensor, "b t h d"], Float[Tensor, "b s g d"], Float[Tensor, "b s g d"]]:
        """Returns queries, keys and values of all heads behind one another, those of earlier calls included."""
        heads, rotated = self.heads, self.heads + self.key_heads
        by = context.once((self.rope, joint.dtype), lambda: self.rope(joint, context.positions))  # b t 1 p
        if self.query_norm is not None and self.key_norm is not None:
            query, key, value = torch.split(joint, [heads, self.key_heads, self.key_heads], 2)
            joint = torch.cat((self.query_norm(query), self.key_norm(key), value), 2)
        if context.cache is None:
            turned = rotate(joint[:, :, :rotated], by)  # one call takes half the time of two
            return turned[:, :, :heads], turned[:, :, heads:], joint[:, :, rotated:]
        every = context.once((self.rope, joint.dtype, heads, rotated), partial(self._every, by))  # b t h+2g p
        turned = rotate(joint, every)
        query, both = torch.split(turned, [heads, 2 * self.key_heads], 2)
        (kept,) = context.update(self, both)  # b s 2g d: one tensor to write, and to move
        key, value = kept.chunk(2, 2)
        return query, key, value

    def _by_kernels(self, joint: Float[Tensor, "b t m d"], context: AttentionContext) -> Float[Tensor, "b t h d"]:
        """Returns the mixed values of all heads; queries and keys are turned in place."""
        self.backend = "own kernels"
        if self.query_norm is not None and self.key_norm is not None:
            query, key, value = torch.split(joint, [self.heads, self.key_heads, self.key_heads], 2)
            joint = torch.cat((self.query_norm(query), self.key_norm(key), value), 2)
        by = context.once((self.rope, joint.dtype), lambda: self.rope(joint, context.positions))
        kernels.rotate_(joint, by, self.heads + self.key_heads)
        query, both = torch.split(joint, [self.heads, 2 * self.key_heads], 2)
        (kept,) = context.update(self, both)
        assert self.packed is not None
        self.packed[0].accept(kept)  # which is from before, if the weights were packed anew within a session
        key, value = kept.chunk(2, 2)
        return kernels.attention(query, key, value, context.visible)

    def _every(self, by: Complex[Tensor, "b t 1 p"]) -> Complex[Tensor, "b t m p"]:
        """Rotations of queries and keys, and of values, which are not turned."""
        turned = by.expand(-1, -1, self.heads + self.key_heads, -1)
        return torch.cat((turned, torch.ones_like(by).expand(-1, -1, self.key_heads, -1)), 2)

    def pack(self) -> int:
        """Packs the weights, and returns their bytes."""
        self.packed = Packed.of(self, "inward"), Packed.of(self, "outward")
        return self.packed[0].size + self.packed[1].size

    def _backend(self, query: Float[Tensor, "b t h d"]) -> Attend:
        if self._chosen is None or self._chosen[:2] != (query.device, query.dtype):
            attend, self.backend = choose(self.wanted, query)
            self._chosen = query.device, query.dtype, attend
        return self._chosen[2]
