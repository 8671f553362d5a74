"""Pre-norm residual blocks, and a stack of them.

A sub-layer is any module that takes `features b t w` and an `AttentionContext` and returns `b t w`. To use another
attention, put another builder in the list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, cast, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from crt_nn.context import AttentionContext
from crt_nn.fused import Fused
from crt_nn.norm import RMSNorm

Builder: TypeAlias = Callable[[int], nn.Module]
"""Builds a sub-layer of a width."""


@runtime_checkable
class Adds(Protocol):
    """A sub-layer that can add what it returns to the stream by itself."""

    def onto(
        self, stream: Float[Tensor, "b t w"], features: Float[Tensor, "b t w"], context: AttentionContext
    ) -> Float[Tensor, "b t w"]:
        """Returns the stream with what the sub-layer returns added to it."""


class Block(nn.Module):
    """Applies sub-layers one after another to the normalised stream, and adds what each returns."""

    def __init__(self, width: int, builders: Sequence[Builder], *, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.norms = nn.ModuleList(RMSNorm(width, epsilon=epsilon) for _ in builders)
        self.sublayers = nn.ModuleList(build(width) for build in builders)
        self._adds = [isinstance(layer, Adds) for layer in self.sublayers]
        self._fused = Fused()

    def forward(self, stream: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """Returns the stream after all sub-layers."""
        cached = context.cache is not None and context.noise is None
        if cached and (whole := self._fused.whole(self.norms, self.sublayers)) is not None:
            return whole(stream, context)
        for index, (norm, sublayer) in enumerate(zip(self.norms, self.sublayers, strict=True)):
            features, own = norm(stream), context.under(f"sublayer {index}")
            if self._adds[index]:
                stream = cast("Adds", sublayer).onto(stream, features, own)
            else:
                stream = stream + sublayer(features, own)
        return stream


class Stack(nn.Module):
    """Equal blocks one after another, and a final norm.

    With `recompute`, the backward pass computes each block again, and only the stream between blocks is kept.
    Norms add `epsilon` to the mean square.
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
        """Returns the normalised stream after all blocks."""
        again = self.recompute and torch.is_grad_enabled() and context.cache is None
        context = context._replace(shared={})
        for index, block in enumerate(self.blocks):
            own = context.under(f"block {index}")
            stream = checkpoint(block, stream, own, use_reentrant=False) if again else block(stream, own)
            if context.streams is not None:
                context.streams[index + 1] = stream
        result: Tensor = self.norm(stream)
        return result
