"""Gated feed-forward layer."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from crt_nn.context import AttentionContext


class SwiGLU(nn.Module):
    """Two projections, one of which gates the other, and a projection back.

    Source: Shazeer (2020), arXiv:2002.05202, eq. 6.
    """

    def __init__(self, width: int, *, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """Maps each position by itself; the context is not used."""
        result: Tensor = self.down(functional.silu(self.gate(features)) * self.up(features))
        return result
