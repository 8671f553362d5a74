"""The codebook: which entry is nearest, and what each loss moves."""

from __future__ import annotations

import math
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from crt_vq import VQ
from crt_vq.bottlenecks.codebook import Codebook


def book(entries: list[list[float]], **fields: Any) -> Codebook:
    """A codebook with these entries."""
    codebook = VQ(codes=len(entries), width=len(entries[0]), **fields).build().double()
    codebook.entries.data = torch.tensor(entries, dtype=torch.float64)
    return codebook


def features(*rows: list[float]) -> Tensor:
    """One sample with these features."""
    return torch.tensor([rows], dtype=torch.float64, requires_grad=True)


def test_the_nearest_entry_is_taken() -> None:
    codebook = book([[0.0, 0.0], [3.0, 4.0]], compare="euclidean")

    output = codebook(features([1.0, 1.0], [2.0, 3.0]))

    assert output.ids.tolist() == [[0, 1]]
    assert output.codes.tolist() == [[[0.0, 0.0], [3.0, 4.0]]]


def test_a_tie_goes_to_the_smaller_id() -> None:
    codebook = book([[2.0], [1.0], [-1.0], [1.0]], compare="euclidean")

    assert codebook(features([0.0], [1.0])).ids.tolist() == [[1, 1]]


def test_cosine_ignores_the_length_of_features() -> None:
    codebook = VQ(codes=16).build().double()
    sample = torch.randn(4, 5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    near, far = codebook(sample), codebook(1000 * sample)

    assert torch.equal(near.ids, far.ids)
    torch.testing.assert_close(near.latents, far.latents)


def test_cosine_codes_have_length_one() -> None:
    codebook = book([[3.0, 4.0], [0.0, -2.0]])

    codes = codebook.lookup(torch.tensor([[0, 1]]))

    torch.testing.assert_close(codes, torch.tensor([[[0.6, 0.8], [0.0, -1.0]]], dtype=torch.float64))


def test_the_rate_is_the_logarithm_of_the_codes_for_each_feature() -> None:
    assert VQ(codes=16).build()(torch.zeros(2, 3, 8)).rate.tolist() == pytest.approx([3 * math.log(16)] * 2)


def test_the_loss_is_the_codebook_loss_plus_beta_times_the_commitment_loss() -> None:
    codebook = book([[0.0], [10.0]], compare="euclidean", commitment=0.5)

    loss = codebook(features([1.0], [7.0])).loss

    assert loss.item() == pytest.approx((1 + 0.5) * (1**2 + 3**2) / 2)


def test_beta_scales_only_the_gradient_at_features() -> None:
    beta = 0.25
    codebook = book([[0.0], [10.0]], compare="euclidean", commitment=beta)
    sample = features([1.0])

    codebook(sample).loss.backward()

    # d/dz beta (z - e)^2 = 2 beta (z - e), d/de (z - e)^2 = -2 (z - e), at z = 1, e = 0
    assert sample.grad is not None
    assert sample.grad.item() == pytest.approx(2 * beta)
    assert codebook.entries.grad is not None
    assert codebook.entries.grad.tolist() == [[pytest.approx(-2.0)], [0.0]]


def test_quantising_is_exact_under_autocast() -> None:
    codebook = VQ(codes=64).build()
    sample = torch.randn(8, 16, 8, generator=torch.Generator().manual_seed(0))

    with torch.autocast("cpu", torch.bfloat16):
        mixed = codebook(sample)

    plain = codebook(sample)
    assert torch.equal(mixed.ids, plain.ids)
    assert torch.equal(mixed.codes, plain.codes)
    assert mixed.codes.dtype == torch.float32


def test_half_precision_features_are_compared_in_the_entries_own() -> None:
    output = VQ(codes=64).build()(torch.randn(2, 3, 8, dtype=torch.bfloat16))

    assert output.latents.dtype == torch.float32


def test_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="expected features of width 8, got 4"):
        VQ(codes=16).build()(torch.zeros(1, 1, 4))


def test_an_absent_id_has_no_code() -> None:
    with pytest.raises(ValueError, match="expected ids from 0 to"):
        VQ(codes=16).build().lookup(torch.tensor([[0, -1]]))


@pytest.mark.parametrize("compare", ["cosine", "euclidean"])
def test_a_codebook_on_clusters_does_not_collapse(compare: Literal["cosine", "euclidean"]) -> None:
    torch.manual_seed(0)
    codes, clusters = 32, torch.nn.functional.normalize(torch.randn(16, 8), dim=-1)
    codebook = VQ(codes=codes, compare=compare).build()
    optimizer = torch.optim.Adam(codebook.parameters(), lr=1e-2)
    sample = clusters[torch.randint(16, (64, 8))] + 0.02 * torch.randn(64, 8, 8)
    before = codebook(sample).loss.item()

    for _ in range(100):
        optimizer.zero_grad()
        codebook(sample).loss.backward()
        optimizer.step()

    after = codebook(sample)
    assert after.ids.unique().numel() >= 8
    assert after.loss.item() < before / 2
