"""The prediction of classes of ids from a code, through a model's own output layer.

Axes: *b batch, k channels of a code, w width, v vocabulary, c classes, s training answers.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor, nn

from crt_vib.state_codes.places import Classes


class Predictor(nn.Module):
    """Logits of classes: a learned linear map of the code to the model's width, then the model's rows of the classes.

    A code of zeros has the shares of training answers, so that a code that holds nothing costs what no code costs. With
    rows of its own, each class would be learned from its few answers alone.
    """

    rows: Tensor

    def __init__(self, channels: int, rows: Float[Tensor, "c w"], shares: Float64[Tensor, " c"]) -> None:
        super().__init__()
        scale = rows.square().sum(1).mean().sqrt().clamp(min=1e-12)
        self.register_buffer("rows", rows / scale, persistent=False)
        self.inward = nn.Linear(channels, rows.shape[1], bias=False)
        self.bias = nn.Parameter(shares.log().float())

    def forward(self, codes: Float[Tensor, "*b k"]) -> Float[Tensor, "*b c"]:
        """The logits; of low rank, so that the matrix of a code's width is made first."""
        return nn.functional.linear(codes, self.rows @ self.inward.weight, self.bias)


def rows_of(prior: Any, classes: Classes) -> Float[Tensor, "c w"]:
    """The mean row of each class in the model's output layer, read off at unit states."""
    width = prior.embedding.weight.shape[1]
    with torch.no_grad():
        weight = prior.embedding.weight
        units = torch.eye(width, dtype=weight.dtype, device=weight.device)[None]  # 1 w w
        rows: Tensor = (prior.logits(units) - prior.logits(torch.zeros_like(units[:, :1])))[0].float().T  # v w
    table = classes.table.to(rows.device)
    sums = rows.new_zeros(classes.size, width).index_add(0, table, rows)
    counts = torch.bincount(table, minlength=classes.size).clamp(min=1)
    return sums / counts[:, None]


def shares_of(known: Int[Tensor, " s"], classes: int) -> Float64[Tensor, " c"]:
    """The share of each class among training answers, each counted half a time more, so that none is impossible.

    Source: Krichevsky and Trofimov (1981), IEEE Transactions on Information Theory 27, 199.
    """
    counts = 0.5 + torch.bincount(known, minlength=classes).double()
    return counts / counts.sum()
