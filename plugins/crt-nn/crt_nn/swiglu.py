"""Gated feed-forward layer."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from crt_nn.context import AttentionContext
from crt_nn.packed import Packed


class SwiGLU(nn.Module):
    """Two projections, one of which gates the other, and a projection back.

    Source: Shazeer (2020), arXiv:2002.05202, eq. 6.
    """

    def __init__(self, width: int, *, hidden: int, bias: bool = False) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=bias)
        self.up = nn.Linear(width, hidden, bias=bias)
        self.down = nn.Linear(hidden, width, bias=bias)
        self._packed: tuple[Packed, Packed] | None = None

    def forward(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """Maps each position by itself; the context is not used."""
        if self._packed is not None and not torch.is_grad_enabled():
            inward, outward = self._packed
            gate, up = inward(features).chunk(2, -1)
            return outward(functional.silu(gate) * up)
        result: Tensor = self.down(functional.silu(self.gate(features)) * self.up(features))
        return result

    def pack(self) -> None:
        """Packs the weights, those of both projections together."""
        self._packed = Packed.of(self.gate, self.up), Packed.of(self.down)
