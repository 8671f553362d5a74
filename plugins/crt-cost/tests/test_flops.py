"""Floating-point operations: the formula by hand, and against what torch counts."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from crt_cost.flops import counted, non_embedding_parameters, sample_flops
from crt_nn.attention import Attention
from crt_nn.block import Stack
from crt_nn.context import AttentionContext
from crt_nn.swiglu import SwiGLU


class Small(nn.Module):
    """A transformer over ten ids."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, width)
        builders = [partial(Attention, heads=2, backend="sdpa"), partial(SwiGLU, hidden=2 * width)]
        self.stack = Stack(width, layers, builders)  # type: ignore[arg-type]
        self.head = nn.Linear(width, 10, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        states = self.stack(self.embedding(ids), AttentionContext(torch.arange(ids.shape[1]).expand_as(ids)))
        return functional.cross_entropy(self.head(states).mT, ids)


def test_a_transformer_is_counted_by_hand() -> None:
    prior = Small(width=8, layers=2)

    result = sample_flops(prior, ids=5)

    attention, feed_forward, norms, last, output = 4 * 8 * 8, 3 * 8 * 16, 2 * 8, 8, 8 * 10
    weights = 2 * (attention + feed_forward + norms) + last + output
    assert non_embedding_parameters(prior) == weights == 1400
    assert result == 5 * (6 * 1400 + 2 * 12 * 8 * 5) == 46800


@pytest.mark.parametrize(("width", "layers", "ids"), [(8, 1, 3), (16, 2, 16)])
def test_the_formula_is_what_torch_counts_but_for_the_norms(width: int, layers: int, ids: int) -> None:
    prior, batch = Small(width, layers), 4

    result = counted(lambda: prior(torch.zeros(batch, ids, dtype=torch.long)))

    scales = sum(each.numel() for each in prior.parameters() if each.ndim < 2)
    assert result == batch * (sample_flops(prior, ids) - 6 * scales * ids)


def test_a_convolution_counts_forward_and_twice_backward() -> None:
    layer, images = nn.Conv2d(3, 4, 3, padding=1, bias=False), torch.zeros(2, 3, 8, 8, requires_grad=True)

    result = counted(lambda: layer(images).sum())

    assert result == 3 * 2 * (2 * 8 * 8) * (4 * 3 * 9)


def test_a_gradient_taken_inside_a_loss_is_counted() -> None:
    weight, rows = torch.ones(3, 5, requires_grad=True), torch.ones(4, 3, requires_grad=True)

    def loss() -> Tensor:
        (gradient,) = torch.autograd.grad((rows @ weight).square().sum(), rows, create_graph=True)
        return gradient.sum()

    result = counted(loss)

    assert result % (2 * 4 * 3 * 5) == 0
    assert result > 2 * (2 * 4 * 3 * 5)  # the product, its gradient, and what comes back through both
