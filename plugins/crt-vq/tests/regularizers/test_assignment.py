"""Assignments of latents to codes: golden values, gradients, and tokenizers that have no table of codes."""

from __future__ import annotations

import math

import pytest
import torch

from crt_vq import VQ, Conv, Prefix, ResidualVQ
from crt_vq.regularizers.assignment import CodeTable, hard_assignment, soft_assignment
from crtcore.errors import RunError

TABLE = torch.tensor([[0.0], [1.0], [3.0]]).double()


def test_a_soft_assignment_is_the_softmax_of_squared_distances() -> None:
    soft = soft_assignment(torch.tensor([[[1.0]]]).double(), TABLE, temperature=1 / math.log(2))

    odds = torch.tensor([2.0**-1, 2.0**0, 2.0**-4]).double()  # squared distances 1, 0 and 4
    torch.testing.assert_close(soft[0, 0], odds / odds.sum())


def test_a_hard_assignment_has_the_gradient_of_the_soft_one() -> None:
    latents = torch.tensor([[[1.1], [2.9]]], dtype=torch.float64, requires_grad=True)
    upstream = torch.tensor([[[1.0, -2.0, 0.5], [0.3, 0.0, 4.0]]]).double()
    soft = soft_assignment(latents, TABLE, 0.5)

    hard = hard_assignment(torch.tensor([[1, 2]]), soft)

    assert hard.tolist() == [[[0, 1, 0], [0, 0, 1]]]
    (straight,) = torch.autograd.grad(soft, latents, upstream, retain_graph=True)
    (through,) = torch.autograd.grad(hard, latents, upstream)
    assert straight.any()
    torch.testing.assert_close(through, straight)


def test_an_absent_id_has_a_finite_assignment() -> None:
    hard = hard_assignment(torch.tensor([[2, -1]]), torch.full((1, 2, 3), 1 / 3))

    assert hard.sum(-1).tolist() == [[1, 1]]


def test_the_table_has_the_codes_of_ids_and_their_gradient() -> None:
    bottleneck = VQ(codes=5).build()
    table = CodeTable(Conv(channels=4).build(bottleneck, torch.zeros(2, 1, 8, 8)), "mine")(torch.device("cpu"))

    torch.testing.assert_close(table, bottleneck.lookup(torch.arange(5)[None])[0])  # type: ignore[attr-defined]
    assert table.requires_grad


def test_several_codes_for_a_feature_are_refused() -> None:
    tokenizer = Conv(channels=4).build(ResidualVQ(codes=4, depth=2).build(), torch.zeros(2, 1, 8, 8))

    with pytest.raises(RunError, match=r"mine: expected .* one code .* got ResidualCodebooks with several"):
        CodeTable(tokenizer, "mine")


def test_two_codebooks_are_refused() -> None:
    spec = Prefix(tokenizer=Conv(channels=4), count=2, codes=4)
    tokenizer = spec.build(VQ(codes=4).build(), torch.zeros(2, 1, 8, 8))

    with pytest.raises(RunError, match=r"ids are each one code of one bottleneck, such as 'vq', got Prefixed$"):
        CodeTable(tokenizer, "mine")
