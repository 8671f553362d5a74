"""Matched rate: entropies by hand, a gradient in both directions, and no regard for order."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from crt_vq import VQ, Conv, MatchedRate
from crt_vq.regularizers.matched_rate import code_entropy


def hot(ids: list[list[int]], codes: int) -> Tensor:
    """One-hot ids; absent ones have none."""
    named = torch.tensor(ids)
    return torch.nn.functional.one_hot(named.clamp(min=0), codes).double()


@pytest.mark.parametrize(
    ("ids", "bits"),
    [([[0, 0], [0, 0]], 0), ([[0, 1], [0, 1]], 1), ([[0, 1], [2, 3]], 2), ([[0, 0], [1, 2]], 1.5)],
)
def test_the_entropy_is_that_of_the_shares_of_ids(ids: list[list[int]], bits: float) -> None:
    mask = torch.ones(2, 2, dtype=torch.bool)

    assert code_entropy(hot(ids, 8), mask).item() / math.log(2) == pytest.approx(bits)


def test_absent_ids_do_not_count() -> None:
    mask = torch.tensor([[True, False], [True, False]])

    assert code_entropy(hot([[0, 3], [1, 3]], 4), mask).item() == pytest.approx(math.log(2))
    assert code_entropy(hot([[0, 3], [1, 3]], 4), torch.zeros_like(mask)).item() == 0


def built(bits: float) -> tuple[Any, Any, Tensor]:
    """A regulariser, its tokenizer of 16 codes, and images."""
    torch.manual_seed(0)
    data = 2 * torch.rand(32, 1, 8, 8) - 1
    tokenizer: Any = Conv(channels=4).build(VQ(codes=16).build(), data)
    return MatchedRate(bits=bits).build(tokenizer), tokenizer, data


@pytest.mark.parametrize("bits", [1.0, 3.5])
def test_training_reaches_the_target(bits: float) -> None:
    regularizer, tokenizer, data = built(bits)
    optimizer = torch.optim.Adam(tokenizer.parameters(), lr=3e-3)

    for step in range(300):
        optimizer.param_groups[0]["lr"] = 3e-3 * (1 - step / 300)
        penalty = regularizer(data, tokenizer(data), 1.0)
        optimizer.zero_grad()
        (penalty.loss + 0.01 * tokenizer(data).loss).backward()
        optimizer.step()

    assert penalty.metrics["code_entropy_bits"] == pytest.approx(bits, abs=0.3)


def test_the_loss_is_the_distance_to_the_target() -> None:
    regularizer, tokenizer, data = built(0.5)

    penalty = regularizer(data, tokenizer(data), 1.0)

    assert penalty.loss.item() == pytest.approx(abs(penalty.metrics["code_entropy_bits"] - 0.5))
    assert penalty.metrics["code_entropy_bits"] == pytest.approx(penalty.metrics["unigram_entropy"] / math.log(2))


def test_the_order_of_ids_does_not_matter() -> None:
    regularizer, tokenizer, data = built(1.0)
    encoded = tokenizer(data)
    order = torch.randperm(16)
    moved = encoded._replace(latents=encoded.latents[:, order], ids=encoded.ids[:, order])

    assert regularizer(data, moved, 1.0).loss.item() == pytest.approx(regularizer(data, encoded, 1.0).loss.item())
