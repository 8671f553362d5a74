"""An output layer tied to an embedding.

Axes: b batch, t positions, w width, v vocabulary.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class Tied(nn.Module):
    """Logits as products with the rows of an embedding.

    Source: Press and Wolf (2017), arXiv:1608.05859.
    """

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        self._embedding = (embedding,)  # in a tuple, so that its weights are stored and counted once

    def forward(self, states: Float[Tensor, "b t w"]) -> Float[Tensor, "b t v"]:
        """Logits."""
        return functional.linear(states, self._embedding[0].weight)
