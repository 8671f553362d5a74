"""`residual-vq`: the input of each level, and the gradient at the features."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from crt_vq import ResidualVQ
from crt_vq.bottlenecks.residual_vq import ResidualCodebooks


def two_levels() -> ResidualCodebooks:
    """Codebooks of one channel: tens, then units."""
    books = ResidualVQ(codes=4, width=1, depth=2, commitment=0.5).build().double()
    for book, entries in zip(books.books, ([0.0, 10.0, 20.0, 30.0], [0.0, 1.0, 2.0, -1.0]), strict=True):
        book.entries.data = torch.tensor(entries, dtype=torch.float64)[:, None]  # type: ignore[union-attr]
    return books


def features(*values: float) -> Tensor:
    """One sample with these features."""
    return torch.tensor([values], dtype=torch.float64)[..., None].requires_grad_()


def test_a_level_is_given_what_those_before_it_left() -> None:
    output = two_levels()(features(12.1, 29.0))

    assert output.ids is not None
    assert output.ids.tolist() == [[1, 2, 3, 3]]
    assert output.codes.flatten().tolist() == [10.0, 2.0, 30.0, -1.0]
    assert output.latents.flatten().tolist() == pytest.approx([12.1, 2.1, 29.0, -1.0])


def test_the_gradient_of_the_sum_passes_once() -> None:
    sample = features(12.1)

    two_levels()(sample).codes.sum().backward()

    assert sample.grad is not None
    assert sample.grad.item() == 1.0


def test_the_loss_is_the_sum_over_levels() -> None:
    loss = two_levels()(features(12.1)).loss

    assert loss.item() == pytest.approx(1.5 * (2.1**2 + 0.1**2))


def test_every_levels_commitment_reaches_the_features() -> None:
    sample = features(12.1)

    two_levels()(sample).loss.backward()

    assert sample.grad is not None
    assert sample.grad.item() == pytest.approx(0.5 * 2 * (2.1 + 0.1))


def test_the_rate_counts_every_level() -> None:
    rate = ResidualVQ(codes=8, depth=3).build()(torch.zeros(2, 5, 8)).rate

    assert rate.tolist() == pytest.approx([15 * math.log(8)] * 2)


def test_more_levels_come_nearer() -> None:
    torch.manual_seed(0)
    books = ResidualVQ(codes=64, depth=4).build()
    sample = torch.randn(4, 16, 8) / 4

    codes = books(sample).codes.unflatten(1, (16, 4)).cumsum(2)

    errors = (codes - sample[:, :, None]).square().mean((0, 1, 3))
    assert (errors.diff() < 0).all()


def test_half_a_features_ids_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a multiple of 2 ids a row, got 3"):
        two_levels().lookup(torch.zeros(1, 3, dtype=torch.int64))
