"""Blocks: residual sub-layers behind norms, and a stack of them.

A sub-layer is any module that takes `features b t w` and an `AttentionContext` and returns `b t w`. To use another
attention, put another builder in the list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from crt_nn.context import AttentionContext
from crt_nn.norm import RMSNorm

Builder: TypeAlias = Callable[[int], nn.Module]
"""A width to a new sub-layer."""


class Block(nn.Module):
    """Sub-layers in turn, each given the normalised stream and added to it."""

    def __init__(self, width: int, builders: Sequence[Builder], *, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.norms = nn.ModuleList(RMSNorm(width, epsilon=epsilon) for _ in builders)
        self.sublayers = nn.ModuleList(build(width) for build in builders)

    def forward(self, stream: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """The stream after every sub-layer."""
        for norm, sublayer in zip(self.norms, self.sublayers, strict=True):
            stream = stream + sublayer(norm(stream), context)
        return stream


class Stack(nn.Module):
    """Blocks of the same make, one after another, and a last norm.

    With `recompute`, what is inside a block is computed again for the gradient, and only the stream between is kept.
    `epsilon` is what norms add to the mean square.
    """

    def __init__(
        self,
        width: int,
        layers: int,
        builders: Sequence[Builder],
        *,
        recompute: bool = False,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        self.recompute = recompute
        self.blocks = nn.ModuleList(Block(width, builders, epsilon=epsilon) for _ in range(layers))
        self.norm = RMSNorm(width, epsilon=epsilon)

    def forward(self, stream: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """The normalised stream after every block."""
        twice = self.recompute and torch.is_grad_enabled() and context.cache is None
        for block in self.blocks:
            stream = checkpoint(block, stream, context, use_reentrant=False) if twice else block(stream, context)
        result: Tensor = self.norm(stream)
        return result
