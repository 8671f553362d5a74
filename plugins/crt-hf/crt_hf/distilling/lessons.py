"""What a draft learns from: the texts in its own ids, and the target's chances over those at each place.

Axes: b rows, n ids of a row, m new ids, k likeliest ids, s ids of all texts, w ids of a window, v vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor


class Lessons(NamedTuple):
    """All texts that are trained on, one behind the other."""

    ids: Int[Tensor, " s"]
    """The draft's ids."""
    known: Bool[Tensor, " s"]
    """Whether the target's chances of the next id are known."""
    best: Int[Tensor, "s k"]
    """The draft's ids of the likeliest next ids."""
    chances: Float[Tensor, "s k"]
    """The target's chances of those; 0 for ids that the draft has not."""

    def window(self, starts: Sequence[int], width: int) -> Lessons:
        """Returns the windows from `starts` on, with an axis of them in front."""
        at = torch.tensor(starts)[:, None] + torch.arange(width)
        return Lessons(*(each[at] for each in self))


class Row(NamedTuple):
    """One text for a head, from its second id to its last but one."""

    ids: Int[Tensor, " n"]
    """The target's ids."""
    states: Float[Tensor, "n u"]
    """The target's states at the ids before each."""
    known: Bool[Tensor, " n"]
    best: Int[Tensor, "n k"]
    chances: Float[Tensor, "n k"]
    """As of `Lessons`."""


def frequent(parts: Iterable[Mapping[str, Tensor]], vocabulary: int, most: int) -> Int[Tensor, " v"]:
    """Returns the ids that the target writes most often, `most` at most, by their expected number in training texts.

    They are in order of their size. Of equally frequent ids the smaller ones are taken; what never comes is not.
    """
    counts = torch.zeros(vocabulary, dtype=torch.float64)
    for part in parts:
        trained = ~part["held_out"]
        chances = part["scores"][trained].double().exp().masked_fill(~_written(part)[trained, :, None], 0)
        counts.index_add_(0, part["best"][trained].flatten().long(), chances.flatten())
    order = counts.sort(descending=True, stable=True).indices[:most]
    return order[counts[order] > 0].sort().values


def lessons(parts: Iterable[Mapping[str, Tensor]], frequent: Int[Tensor, " v"], vocabulary: int) -> Lessons:
    """Returns the training texts in a draft's ids; 0 stands for all that are not `frequent`."""
    own = torch.zeros(vocabulary, dtype=torch.int32)
    own[frequent] = torch.arange(1, len(frequent) + 1, dtype=torch.int32)
    made = [_row(part, row, own) for part in parts for row in range(len(part["ids"])) if not part["held_out"][row]]
    return Lessons(*(torch.cat(each) for each in zip(*made, strict=True)))


def rows(parts: Iterable[Mapping[str, Tensor]], frequent: Int[Tensor, " v"], vocabulary: int) -> list[Row]:
    """Returns the training texts for a head, whose ids are those of `frequent` and are counted from 1 on."""
    own = torch.zeros(vocabulary, dtype=torch.int32)
    own[frequent] = torch.arange(1, len(frequent) + 1, dtype=torch.int32)
    made = []
    for part in parts:
        for row in (~part["held_out"]).nonzero()[:, 0].tolist():
            ids = part["ids"][row]
            ids = ids[ids >= 0]
            _, known, best, chances = _row(part, row, own)
            inner = slice(1, len(ids) - 1)  # the last id was not read by the target, nor is what comes after it known
            made.append(Row(ids[inner], part["states"][row, : len(ids) - 2], known[inner], best[inner], chances[inner]))
    return [row for row in made if bool(row.known.any())]


def held_out(parts: Iterable[Mapping[str, Tensor]], most: int) -> list[tuple[Int[Tensor, "..."], int]]:
    """Returns the first `most` texts that are not trained on, each with the length of its prompt."""
    rows: list[tuple[Tensor, int]] = []
    for part in parts:
        for row in part["held_out"].nonzero()[:, 0].tolist():
            ids = part["ids"][row].long()
            rows.append((ids[ids >= 0], int(part["prompt"][row])))
        if len(rows) >= most:
            break
    return rows[:most]


def _written(part: Mapping[str, Tensor]) -> Bool[Tensor, "b m"]:
    """Marks the new ids that there are: rows end at different places."""
    new = (part["ids"] >= 0).sum(1) - part["prompt"]
    return torch.arange(part["best"].shape[1]) < new[:, None]


def _row(part: Mapping[str, Tensor], row: int, own: Int[Tensor, " v"]) -> tuple[Shaped[Tensor, "..."], ...]:
    """A text as lessons: the chances of a new id stand at the id before it."""
    ids = part["ids"][row]
    ids = ids[ids >= 0].long()
    first, new = int(part["prompt"][row]), len(ids) - int(part["prompt"][row])
    best = torch.zeros(len(ids), part["best"].shape[2], dtype=torch.int32)
    chances = torch.zeros(best.shape, dtype=torch.float16)
    known = torch.zeros(len(ids), dtype=torch.bool)
    here = slice(first - 1, first - 1 + new)
    best[here] = own[part["best"][row, :new].long()]
    chances[here] = part["scores"][row, :new].float().exp().where(best[here] > 0, 0).half()
    known[here] = True
    return own[ids], known, best, chances
