"""A feed-forward layer with ReLU."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from crt_nn.context import AttentionContext


class Rectified(nn.Module):
    """Two projections with a ReLU between.

    Source: Vaswani et al. (2017), arXiv:1706.03762, eq. 2, without biases.
    """

    def __init__(self, width: int, *, hidden: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """Maps each position by itself; the context is not used."""
        result: Tensor = self.down(functional.relu(self.up(features)))
        return result
