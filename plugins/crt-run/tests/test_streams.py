"""Moments of batches are those of the whole, and kept samples are the same ones in any order."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from crt_run.streams import Kept, Moments, numbered

SEEDS = st.integers(0, 2**32)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def of(data: Tensor, size: int) -> Moments:
    moments = Moments()
    for batch in torch.split(data, size):
        moments.update(batch)
    return moments


@settings(deadline=None, max_examples=100)
@given(SEEDS, st.integers(1, 50), st.sampled_from((0.0, 1e3, -1e6)))
def test_moments_of_batches_of_any_size_are_those_of_the_whole(seed: int, size: int, offset: float) -> None:
    data = normal(seed, 50, 3) + offset

    moments = of(data, size)

    assert moments.count == 50
    torch.testing.assert_close(moments.mean, data.mean(0), rtol=1e-12, atol=1e-12)
    room = 1e-12 if not offset else 1e-15 * abs(offset)  # what the offset rounds from each value
    torch.testing.assert_close(moments.covariance, (data - offset).T.cov(), rtol=1e-10, atol=room)


def test_an_empty_batch_changes_no_moments() -> None:
    data, moments = normal(0, 9, 2), Moments()

    for batch in (data[:0], data[:4], data[:0], data[4:]):
        moments.update(batch)

    assert moments.count == 9
    torch.testing.assert_close(moments.covariance, data.T.cov())


def test_sums_of_squares_would_lose_what_the_merge_keeps() -> None:
    data = normal(0, 1000, 1) + 1e8
    naive = float((data.square().sum() - data.sum() ** 2 / 1000) / 999)

    variance = float(of(data, 7).covariance)

    exact = float((data - 1e8).var())
    assert variance == pytest.approx(exact, rel=1e-6)
    assert abs(naive / exact - 1) > 0.1


@settings(deadline=None, max_examples=50)
@given(SEEDS, st.integers(1, 20), st.permutations(range(20)))
def test_kept_features_do_not_depend_on_the_order_of_samples(seed: int, size: int, order: list[int]) -> None:
    data, chosen = normal(seed, 20, 2), torch.tensor([17, 3, 4])
    kept = Kept(chosen)

    for rows in torch.split(torch.tensor(order), size):
        kept.update(rows, data[rows])

    assert torch.equal(kept.features, data[chosen])


@pytest.mark.parametrize(
    "rows", [[0, 1], [0, 1, 2, 2], [0, 0, 2], []], ids=["too few", "one twice", "one in place of another", "none"]
)
def test_samples_that_do_not_come_once_are_refused(rows: list[int]) -> None:
    kept = Kept(torch.arange(3))
    for row in rows:
        kept.update(torch.tensor([row]), torch.zeros(1, 2))

    with pytest.raises(ValueError, match="expected every sample once"):
        kept.features.sum()


def test_numbers_of_all_samples_come_once() -> None:
    assert torch.cat(list(numbered(600))).tolist() == list(range(600))
