"""Gated feed-forward layer.

Axes: b batch, t positions, w width, h hidden channels.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from crt_nn.context import AttentionContext
from crt_nn.native import kernels
from crt_nn.packed import Packed, native


class SwiGLU(nn.Module):
    """Two projections, one of which gates the other, and a projection back.

    Source: Shazeer (2020), arXiv:2002.05202, eq. 6.
    """

    def __init__(self, width: int, *, hidden: int, bias: bool = False) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=bias)
        self.up = nn.Linear(width, hidden, bias=bias)
        self.down = nn.Linear(hidden, width, bias=bias)
        self.packed: tuple[Packed, Packed] | None = None

    def forward(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """Maps each position by itself; the context is not used."""
        if self.packed is not None and not torch.is_grad_enabled():
            return self.packed[1](self._gated(features, self.packed[0]))
        result: Tensor = self.down(functional.silu(self.gate(features)) * self.up(features))
        return result

    def onto(
        self, stream: Float[Tensor, "b t w"], features: Float[Tensor, "b t w"], context: AttentionContext
    ) -> Float[Tensor, "b t w"]:
        """Returns the stream with what `forward` returns added to it."""
        if self.packed is not None and not torch.is_grad_enabled():
            return self.packed[1](self._gated(features, self.packed[0]), stream)
        added: Tensor = stream + self(features, context)
        return added

    @staticmethod
    def _gated(features: Float[Tensor, "b t w"], inward: Packed) -> Float[Tensor, "b t h"]:
        both = inward(features)
        if native():
            return kernels.gated(both)
        gate, up = both.chunk(2, -1)
        return functional.silu(gate).mul_(up)

    def pack(self) -> int:
        """Packs the weights, those of both projections together, and returns their bytes."""
        self.packed = Packed.of(self, "gate", "up"), Packed.of(self, "down")
        return self.packed[0].size + self.packed[1].size
