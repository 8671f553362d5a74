"""Rows of ids of which the first are frozen and the others, of new ids, are trained.

Axes: b batch, t positions, a ids, of which the first are known, w width.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional


class GrownRows(nn.Embedding):
    """An embedding and an output layer over all ids; gradients of the known rows are not computed."""

    def __init__(self, weight: Float[Tensor, "a w"], known: int) -> None:
        nn.Module.__init__(self)  # that of the embedding makes one tensor of all rows
        self.num_embeddings, self.embedding_dim = weight.shape
        self.padding_idx = self.max_norm = None
        self.norm_type, self.scale_grad_by_freq, self.sparse = 2.0, False, False
        self.known = nn.Parameter(weight[:known].detach().clone(), requires_grad=False)
        self.new = nn.Parameter(weight[known:].detach().clone())

    @property
    def weight(self) -> Float[Tensor, "a w"]:  # type: ignore[override]
        """All rows, in a new tensor."""
        return torch.cat((self.known, self.new))

    def forward(self, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b t w"]:
        """Returns the rows of ids from 0 on."""
        count, more = len(self.known), len(self.new)
        old = functional.embedding(ids.clamp(max=count - 1), self.known)
        if not more:
            return old
        new = functional.embedding((ids - count).clamp(min=0), self.new)
        return torch.where((ids >= count)[..., None], new, old)

    def scores(self, states: Float[Tensor, "b t w"]) -> Float[Tensor, "b t a"]:
        """Returns the products of states with all rows."""
        return torch.cat((functional.linear(states, self.known), functional.linear(states, self.new)), -1)
