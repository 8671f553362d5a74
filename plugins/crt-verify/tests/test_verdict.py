"""Which rows a verifier accepts as distributions."""

from __future__ import annotations

import math
import re

import pytest
import torch

from crt_verify.kernels.build import FOLDER
from crt_verify.verdict import FAULTS, TOLERANCE, Fault, distribution_faults


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
def test_an_invalid_entry_is_reported_before_a_wrong_sum(row: tuple[float, float], reason: int) -> None:
    assert distribution_faults(torch.tensor([[row]], dtype=torch.float64)).tolist() == [[reason]]


@pytest.mark.parametrize("size", [17, 4097])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_row_of_ones_is_no_distribution_however_long(size: int, dtype: torch.dtype) -> None:
    ones = torch.ones(1, 1, size, dtype=dtype)

    assert distribution_faults(ones).tolist() == [[2]]
    assert (ones.double() * 2**60).long().sum() == 2**60  # a sum of such steps would accept it


def test_the_order_of_a_rows_entries_does_not_matter() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.rand(2_000, 1, 500, generator=generator, dtype=torch.float64)
    rows *= (1 + TOLERANCE) / rows.sum(-1, keepdim=True)
    shuffled = rows[:, :, torch.randperm(500, generator=generator)]

    assert torch.equal(distribution_faults(rows), distribution_faults(shuffled))
    fits = [(field.sum(-1) - 1).abs() <= TOLERANCE for field in (rows, shuffled)]
    assert not torch.equal(*fits)  # a sum in floating point depends on it


def test_the_kernels_number_faults_alike() -> None:
    (body,) = re.findall(r"enum Fault : int64_t \{(.*?)\};", (FOLDER / "faults.cuh").read_text(), re.DOTALL)

    names = re.findall(r"^  (\w+)", body, re.MULTILINE)

    assert names == ["NO_FAULT", *(fault.name for fault in Fault if fault), "FAULTS"]
    assert [int(fault) for fault in Fault] == list(range(len(FAULTS)))
