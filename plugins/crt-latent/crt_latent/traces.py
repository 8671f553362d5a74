"""Reasoning traces: rows of ids in three parts, P <think> C <answer> S <end>.

Axes: b batch, n ids of a row, p ids of a prompt, c ids of the steps, s ids of a solution.
Id -1 means absent, only at the right end.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Delimiters(NamedTuple):
    """Ids between the parts of a trace and behind the last."""

    think: int
    answer: int
    end: int


class Trace(NamedTuple):
    """The parts of traces, without delimiters."""

    prompt: Int[Tensor, "b p"]
    steps: Int[Tensor, "b c"]
    solution: Int[Tensor, "b s"]


def delimiters(vocabulary: int) -> Delimiters:
    """Returns the last three ids of a vocabulary, so that an existing vocabulary is extended at its end."""
    return Delimiters(vocabulary - 3, vocabulary - 2, vocabulary - 1)


def split_trace(ids: Int[Tensor, "b n"], vocabulary: int) -> Trace:
    """Splits rows into parts. Ids from `vocabulary` on, such as codes, are like any others.

    Raises: ValueError if a row lacks a delimiter, has one twice or out of order, or continues behind <end>.
    """
    marked = torch.stack([ids == each for each in delimiters(vocabulary)], 1)  # b 3 n
    think, answer, end = (marked * torch.arange(ids.shape[1], device=ids.device)).sum(2).unbind(1)
    valid = (marked.sum(2) == 1).all(1) & (think < answer) & (answer < end) & (end == lengths(ids) - 1)
    _refuse(~valid, ids, "{} once each, in this order and the last behind all others", vocabulary)
    return Trace(
        between(ids, torch.zeros_like(think), think), between(ids, think + 1, answer), between(ids, answer + 1, end)
    )


def join_trace(trace: Trace, vocabulary: int) -> Int[Tensor, "b n"]:
    """Joins parts to rows, no wider than the longest.

    Raises: ValueError if a part contains a delimiter.
    """
    inside = torch.cat(trace, 1)
    marks = delimiters(vocabulary)
    has_delimiter = (inside[:, :, None] == torch.tensor(marks, device=inside.device)).any(2).any(1)
    _refuse(has_delimiter, inside, "none of {} inside a part", vocabulary)
    think, answer, end = (inside.new_full((len(inside), 1), mark) for mark in marks)
    return compact(torch.cat((trace.prompt, think, trace.steps, answer, trace.solution, end), 1))


def loss_weights(ids: Int[Tensor, "b n"], vocabulary: int) -> Float[Tensor, "b n"]:
    """Returns 1 from <think> on, 0 on the prompt and on absent ids."""
    begun = (ids == delimiters(vocabulary).think).cumsum(1) > 0
    return (begun & (ids >= 0)).float()


def lengths(ids: Int[Tensor, "b n"]) -> Int[Tensor, " b"]:
    """Counts the ids of each row that are not absent."""
    return (ids >= 0).sum(1)


def between(ids: Int[Tensor, "b n"], start: Int[Tensor, " b"], stop: Int[Tensor, " b"]) -> Int[Tensor, "b m"]:
    """Returns the ids of each row from `start` up to `stop`, moved to the left, no wider than the longest."""
    width = int((stop - start).clamp(min=0).amax()) if len(ids) else 0
    columns = start[:, None] + torch.arange(width, device=ids.device)  # b m
    if not width:
        return ids[:, :0]
    return ids.gather(1, columns.clamp(max=ids.shape[1] - 1)).masked_fill(columns >= stop[:, None], -1)


def compact(ids: Int[Tensor, "b n"]) -> Int[Tensor, "b m"]:
    """Moves present ids to the left of each row, no wider than the longest."""
    order = (ids < 0).long().argsort(dim=1, stable=True)
    width = int(lengths(ids).amax()) if len(ids) else 0
    return ids.gather(1, order)[:, :width]


def _refuse(wrong: Tensor, ids: Tensor, expected: str, vocabulary: int) -> None:
    if wrong.any():
        row = int(wrong.nonzero()[0, 0])
        marks = " ".join(f"<{name}> {mark}" for name, mark in delimiters(vocabulary)._asdict().items())
        raise ValueError(f"row {row}: expected {expected.format(marks)}, got {ids[row].tolist()}")
