"""Traces: rows and parts, ragged and empty ones, and rows that are refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from crt_latent.traces import Trace, between, compact, delimiters, join_trace, lengths, loss_weights, split_trace

VOCABULARY = 9
CODES = 20
"""Ids that follow the vocabulary may stand in the steps."""

PART = st.lists(st.integers(0, VOCABULARY - 4), max_size=5)
STEPS = st.lists(st.integers(0, VOCABULARY - 4) | st.integers(VOCABULARY, VOCABULARY + CODES), max_size=5)
ROWS = st.lists(st.tuples(PART, STEPS, PART), min_size=1, max_size=4)


def padded(rows: list[list[int]]) -> Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [-1] * (width - len(row)) for row in rows], dtype=torch.int64).view(len(rows), width)


def trace_of(rows: list[tuple[list[int], list[int], list[int]]]) -> Trace:
    prompts, steps, solutions = (padded([row[part] for row in rows]) for part in range(3))
    return Trace(prompts, steps, solutions)


def written(rows: list[tuple[list[int], list[int], list[int]]]) -> Tensor:
    """Returns rows id by id, by definition."""
    return padded([[*prompt, 6, *steps, 7, *solution, 8] for prompt, steps, solution in rows])


def same(left: Trace, right: Trace) -> bool:
    return all(torch.equal(one, other) for one, other in zip(left, right, strict=True))


@given(ROWS)
def test_rows_are_parts_with_delimiters_between(rows: list[tuple[list[int], list[int], list[int]]]) -> None:
    result = join_trace(trace_of(rows), VOCABULARY)

    assert torch.equal(result, written(rows))


@given(ROWS)
def test_splitting_inverts_joining(rows: list[tuple[list[int], list[int], list[int]]]) -> None:
    trace = trace_of(rows)

    result = split_trace(join_trace(trace, VOCABULARY), VOCABULARY)

    assert same(result, trace)


@given(ROWS, st.integers(0, 3))
def test_more_padding_changes_no_part(rows: list[tuple[list[int], list[int], list[int]]], more: int) -> None:
    ids = torch.nn.functional.pad(written(rows), (0, more), value=-1)

    assert same(split_trace(ids, VOCABULARY), trace_of(rows))


@given(ROWS)
def test_weight_starts_at_think_and_ends_with_the_row(rows: list[tuple[list[int], list[int], list[int]]]) -> None:
    result = loss_weights(written(rows), VOCABULARY)

    for row, (prompt, steps, solution) in zip(result.tolist(), rows, strict=True):
        counted = len(steps) + len(solution) + 3
        assert row == [0.0] * len(prompt) + [1.0] * counted + [0.0] * (len(row) - len(prompt) - counted)


def test_an_empty_batch_has_empty_parts() -> None:
    result = split_trace(torch.empty(0, 0, dtype=torch.int64), VOCABULARY)

    assert [part.shape for part in result] == [(0, 0)] * 3
    assert join_trace(result, VOCABULARY).shape[0] == 0


def test_delimiters_are_the_last_ids() -> None:
    assert delimiters(VOCABULARY) == (6, 7, 8)


@pytest.mark.parametrize(
    "row",
    [
        [0, 6, 1, 7, 2],
        [0, 6, 1, 8],
        [0, 7, 1, 6, 2, 8],
        [0, 6, 1, 6, 7, 2, 8],
        [0, 6, 1, 7, 2, 8, 3],
        [0, 6, 1, 7, 2, -1, 8],
        [],
    ],
)
def test_rows_that_are_no_traces_are_refused(row: list[int]) -> None:
    sound = [0, 6, 7, 8]
    ids = padded([sound, row])

    with pytest.raises(ValueError, match="row 1: expected <think> 6 <answer> 7 <end> 8 once each"):
        split_trace(ids, VOCABULARY)


def test_a_delimiter_inside_a_part_is_refused() -> None:
    prompt, solution = torch.tensor([[0], [1]]), torch.tensor([[2], [3]])

    with pytest.raises(ValueError, match="row 1: expected none of <think> 6 <answer> 7 <end> 8 inside a part"):
        join_trace(Trace(prompt, torch.tensor([[4], [7]]), solution), VOCABULARY)


@given(st.lists(st.lists(st.integers(-1, 5), min_size=4, max_size=4), min_size=1, max_size=3))
def test_compact_keeps_the_order_of_present_ids(rows: list[list[int]]) -> None:
    result = compact(torch.tensor(rows))

    assert [row[:count] for row, count in zip(result.tolist(), lengths(result).tolist(), strict=True)] == [
        [value for value in row if value >= 0] for row in rows
    ]
    assert result.shape[1] == max(sum(value >= 0 for value in row) for row in rows)


def test_a_stop_before_the_start_is_an_empty_part() -> None:
    result = between(torch.tensor([[1, 2, 3], [1, 2, 3]]), torch.tensor([2, 0]), torch.tensor([1, 2]))

    assert result.tolist() == [[-1, -1], [1, 2]]
