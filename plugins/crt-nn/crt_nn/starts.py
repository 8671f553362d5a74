"""Start ids at the front of a row: they are the first position itself, which is not read a second time.

Axes: b batch, n ids of a row, t new nodes, m tentative nodes, k committed positions, w width. Id -1 means absent.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from crt_nn.slots import Ancestry


def leading(ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None, start: int) -> Int[Tensor, " b"]:
    """Returns the number of start ids at the front of each row; 0 where a class takes the first position."""
    count = (ids == start).cumprod(1).sum(1)
    return count if class_ids is None else count.where(class_ids < 0, 0)


def without(ids: Int[Tensor, "b n"], count: Int[Tensor, " b"]) -> Int[Tensor, "b n"]:
    """Returns rows without their first `count` ids, moved to the left, in the same width."""
    if not ids.shape[1]:
        return ids
    places = torch.arange(ids.shape[1], device=ids.device) + count[:, None]  # b n
    return ids.gather(1, places.clamp(max=ids.shape[1] - 1)).where(places < ids.shape[1], -1)


def put_back(states: Float[Tensor, "b n w"], count: Int[Tensor, " b"]) -> Float[Tensor, "b n w"]:
    """Returns the states of rows before `without`: those of the first `count` ids are that of the first position."""
    places = (torch.arange(states.shape[1], device=states.device) - count[:, None]).clamp(min=0)
    return states.gather(1, places[..., None].expand_as(states))


class Starts:
    """Which nodes of a session are start ids at the front of their row."""

    def __init__(self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None, start: int) -> None:
        self._start = start
        self._no_class = ids.new_ones(len(ids), dtype=torch.bool) if class_ids is None else class_ids < 0
        self.merged = leading(ids, class_ids, start)  # b
        """Start ids that each row has committed at its front."""

    def narrow(self, rows: Int[Tensor, " k"]) -> None:
        """Keeps these rows alone, in this order."""
        self._no_class, self.merged = self._no_class[rows], self.merged[rows]

    def reset(self, filled: Int[Tensor, " b"]) -> None:
        """Starts again without tentative nodes, behind rows of `filled` other ids."""
        self._bare = self._no_class & (filled == 0)
        self._others = Ancestry(filled)
        self._marks = filled.new_zeros(len(filled), 1)  # b 1+m

    def extend(self, ids: Int[Tensor, "b t"], parents: Int[Tensor, "b t"]) -> Bool[Tensor, "b t"]:
        """Adds nodes and marks those that are start ids with nothing else before them."""
        others = self._others.extend(parents, (ids >= 0) & (ids != self._start))
        marks = (ids == self._start) & self._bare[:, None] & ~others.any(-1)
        self._marks = torch.cat((self._marks, marks.long()), 1)
        return marks

    def commit(self, path: Int[Tensor, "b k"]) -> None:
        """Counts the marked nodes of a path as merged."""
        self.merged = self.merged + self._marks.gather(1, path + 1).sum(1)
