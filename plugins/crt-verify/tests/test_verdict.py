"""What is a law to a verifier, and what is none."""

from __future__ import annotations

import math

import pytest
import torch

from crt_verify.verdict import TOLERANCE, unsound


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((0.25, 0.75), 0),
        ((0.25, 0.75 + 0.9 * TOLERANCE), 0),
        ((0.25, 0.75 - 0.9 * TOLERANCE), 0),
        ((0.25, 0.75 + 1.1 * TOLERANCE), 2),
        ((0.25, 0.75 - 1.1 * TOLERANCE), 2),
        ((0.0, 0.0), 2),
        ((0.0, 1e300), 2),
        ((math.nan, 1.0), 1),
        ((math.inf, 0.0), 1),
        ((-math.inf, 1.0), 1),
        ((-0.25, 1.25), 1),
    ],
)
def test_an_entry_that_is_none_goes_before_a_sum_that_is_off(row: tuple[float, float], reason: int) -> None:
    assert unsound(torch.tensor([[row]], dtype=torch.float64)).tolist() == [[reason]]


@pytest.mark.parametrize("size", [17, 4097])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_row_of_ones_is_no_law_however_long(size: int, dtype: torch.dtype) -> None:
    ones = torch.ones(1, 1, size, dtype=dtype)

    assert unsound(ones).tolist() == [[2]]
    assert (ones.double() * 2**60).long().sum() == 2**60  # a sum of such steps takes it for a law


def test_whether_a_row_sums_to_1_has_no_order() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.rand(2_000, 1, 500, generator=generator, dtype=torch.float64)
    rows *= (1 + TOLERANCE) / rows.sum(-1, keepdim=True)
    shuffled = rows[:, :, torch.randperm(500, generator=generator)]

    assert torch.equal(unsound(rows), unsound(shuffled))
    fits = [(laws.sum(-1) - 1).abs() <= TOLERANCE for laws in (rows, shuffled)]
    assert not torch.equal(*fits)  # a sum in floating point has one
