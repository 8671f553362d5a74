"""Shares of a batch in one process; `tests/ranks` tries them over processes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from crt_nn.ranks import Share, batch_mean, gathered, portion, rows_at_hand, rows_of, sharing, summed, whole_gradient
from crtcore.errors import RunError


@given(batch=st.integers(1, 40), parts=st.integers(1, 40))
def test_shares_cut_a_batch_into_parts_that_differ_by_one_row_at_most(batch: int, parts: int) -> None:
    shares = [Share(place, parts, batch) for place in range(parts)]

    assert [row for share in shares for row in share.rows] == list(range(batch))
    assert {len(share.rows) for share in shares} <= {batch // parts, batch // parts + 1}
    assert sum(share.weight for share in shares) == pytest.approx(1)


def test_outside_a_share_the_rows_are_the_batch() -> None:
    values = torch.tensor([[1.0, 2], [3, 5]])

    assert rows_of(2) == rows_at_hand(2) == range(2)
    assert torch.equal(batch_mean(values), torch.tensor([2, 3.5]))
    assert portion(torch.tensor(3), 4) == 3
    assert gathered(values) is values
    assert whole_gradient(values) is values


def test_inside_a_share_its_rows_are_at_hand_and_no_others() -> None:
    with sharing(Share(1, 2, 5)):
        assert rows_of(5) == rows_at_hand(3) == range(2, 5)
        with pytest.raises(ValueError, match="expected the step's batch of 5 rows, got 4"):
            rows_of(4)
        with pytest.raises(ValueError, match="expected the 3 rows of this rank, got 5"):
            rows_at_hand(5)

    assert rows_of(4) == range(4)


def test_what_needs_the_whole_batch_is_refused_where_shares_are_computed_in_turn() -> None:
    with sharing(Share(0, 2, 4, in_turn=True)):
        assert portion(torch.tensor(4), 4) == 4
        for use in (
            lambda: batch_mean(torch.ones(2, 3)),
            lambda: portion(torch.tensor(3), 4),
            lambda: whole_gradient(torch.ones(2)),
        ):
            with pytest.raises(RunError, match="set `accumulate` of this training to 1"):
                use()


@pytest.mark.parametrize("given", [torch.zeros(3, 2).T, torch.zeros(8)[::2], torch.zeros(1).expand(3)])
def test_tensors_that_are_not_contiguous_are_refused(given: Tensor) -> None:
    """Gloo adds every second number of `arange(8)[::2]` to the wrong place, without an error."""
    with pytest.raises(AssertionError, match="expected a contiguous tensor"):
        summed(given)
