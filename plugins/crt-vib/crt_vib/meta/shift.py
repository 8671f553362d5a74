"""Token shift: each position also reads the one before it.

Axes: b batch, t new positions, s positions seen, w width.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from crt_nn.context import AttentionContext


class Shift(nn.Module):
    """Adds a linear map of the previous position (in a tree, of the parent) to each position.

    Source: Peng et al. (2023), arXiv:2305.13048, section 3.1.1, with a map in place of a mix.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.map = nn.Linear(width, width, bias=False)

    def forward(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """The features plus the mapped previous ones; the first position has none."""
        seen, positions = context.update(self, features, context.positions)  # b s w, b s
        if context.visible is None:
            before = functional.pad(features[:, :-1], (0, 0, 1, 0))
        else:
            parent = context.visible & (positions[:, None] == context.positions[..., None] - 1)  # b t s
            before = parent.to(features.dtype) @ seen
        result: Tensor = features + self.map(before)
        return result
