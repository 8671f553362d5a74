"""Ids, rows and features that are refused, and where values are not read."""

import math

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from crt_nn.ranges import check_features, check_ids, check_rows, readable
from crt_nn.slots import Slots


def rows(*ids: list[int]) -> Tensor:
    return torch.tensor(ids)


def test_the_least_and_the_last_id_pass() -> None:
    assert check_ids(rows([-1, 4]), 5, least=-1)
    assert not check_ids(rows([0, 4]), 5)
    check_rows(rows([0, 4, -1], [-1, -1, -1]), torch.tensor([2, -1]), 5, 3, longest=3)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (rows([0, 5]), r"expected ids from -1 to 4, got 5 at \[0, 1\]"),
        (rows([0, 1], [-2, 0]), r"expected ids from -1 to 4, got -2 at \[1, 0\]"),
        (rows([2**40]), r"expected ids from -1 to 4, got 1099511627776 at"),
        (rows([0, 1], [-1, 3]), r"row 1: expected absent ids \(-1\) at its right end alone, got \[-1, 3\]"),
        (rows([0, 1, 2, 3]), "expected at most 3 ids a row, got 4"),
    ],
)
def test_a_row_that_a_prior_is_not_made_for_is_refused(ids: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_rows(ids, None, 5, 0, longest=3)


@pytest.mark.parametrize(
    ("class_ids", "classes", "message"),
    [
        ([10], 10, r"expected class ids from -1 to 9, got 10 at \[0\]"),
        ([-2], 10, r"expected class ids from -1 to 9, got -2 at \[0\]"),
        ([0, 1], 10, r"expected a class id for each of 1 rows, got the shape \(2,\)"),
        ([0], 0, "expected no class ids, as this prior was built without classes, got some"),
    ],
)
def test_a_class_that_a_prior_does_not_have_is_refused(class_ids: list[int], classes: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_rows(rows([0]), torch.tensor(class_ids), 5, classes)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, 1e19])
def test_a_feature_that_is_not_finite_or_whose_square_is_not_is_refused(wrong: float) -> None:
    features = torch.zeros(2, 3, 4)
    features[1, 2, 3] = wrong
    with pytest.raises(ValueError, match=r"expected finite features, none beyond 9.22e\+18, got"):
        check_features(features, 4)


def test_half_precision_is_as_wide_as_float32_here() -> None:
    check_features(torch.full((1, 1, 4), 6e4, dtype=torch.float16), 4)


def test_tensors_without_values_are_not_read() -> None:
    with FakeTensorMode():
        wrong = torch.full((2, 2), 9)
        assert not readable(wrong, entry=True)
        check_rows(wrong, None, 5, 0)
    check_rows(torch.full((2, 2), 9, device="meta"), None, 5, 0)
    check_ids(torch.empty(2, 0, dtype=torch.int64), 5)


def test_a_compiled_region_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)

    assert not readable(rows([0, 9]), entry=True)


def test_what_is_not_below_a_session_is_refused() -> None:
    slots = Slots(rows([], []).long(), 5, capacity=4, room=4)
    with pytest.raises(ValueError, match=r"row 1: expected parents before the own columns, from 0 on, got \[-1, 1\]"):
        slots.extend(rows([0, 1], [0, 1]), rows([-1, 0], [-1, 1]))
    slots.extend(rows([0, 1], [0, 1]), rows([-1, 0], [-1, 0]))
    with pytest.raises(ValueError, match="expected columns of a path from -1 to 1, got 2"):
        slots.check_path(rows([0, 1], [0, 2]))
    with pytest.raises(ValueError, match=r"row 0: expected a path from the root side on, got \[1, 0\]"):
        slots.check_path(rows([1, 0], [0, 1]))
    with pytest.raises(ValueError, match=r"expected ids of 2 rows, got the shape \(1, 2\)"):
        slots.extend(rows([0, 1]), None)
