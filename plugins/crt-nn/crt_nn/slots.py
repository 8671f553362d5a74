"""Bookkeeping that sessions share: limits, and ancestors in a tree of ids.

Axes: b batch, n ids of a prompt, t new nodes, m tentative nodes, k committed positions, v vocabulary.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor


class Slots:
    """Counts the ids of a session: tentative ones by shape, committed ones for each row."""

    def __init__(self, prompt: Int[Tensor, "b n"], *, capacity: int, room: int) -> None:
        if prompt.shape[1] > capacity:
            raise ValueError(f"expected a prompt of at most {capacity} ids (capacity), got {prompt.shape[1]}")
        self.capacity = capacity
        self.room = room
        self.tentative = 0
        """Columns added since the last commit."""
        self.bound = prompt.shape[1]
        """The most ids that a row within its capacity can have committed."""
        self.filled = (prompt >= 0).sum(-1)  # b
        """Ids that each row has committed."""

    def extend(self, ids: Int[Tensor, "b t"], parents: Int[Tensor, "b t"] | None) -> Int[Tensor, "b t"]:
        """Counts new columns and returns their parents; None is a chain behind the last column.

        Raises: ValueError if there are more than `room` tentative columns.
        """
        first, self.tentative = self.tentative, self.tentative + ids.shape[1]
        if self.tentative > self.room:
            raise ValueError(f"expected at most {self.room} tentative ids (room), got {self.tentative}")
        if parents is not None:
            return parents
        return torch.arange(first - 1, self.tentative - 1, device=ids.device).expand_as(ids)

    def commit(self, kept: Bool[Tensor, "b k"]) -> None:
        """Counts the marked columns as committed."""
        self.tentative = 0
        self.bound = min(self.bound + kept.shape[1], self.capacity)
        self.filled = self.filled + kept.sum(-1)

    def within_capacity(self, logits: Float[Tensor, "b t v"]) -> Float[Tensor, "b t v"]:
        """Returns the logits, with NaN in rows that have committed more than the capacity.

        It depends on values of a tensor, so it raises nothing here; decoders check for NaN.
        Cost: the sum takes a third of the time of `masked_fill` on a CPU.
        """
        overrun = torch.zeros_like(self.filled, dtype=logits.dtype).masked_fill_(self.filled > self.capacity, torch.nan)
        return logits + overrun[:, None, None]


class Ancestry:
    """Ancestors of tentative nodes."""

    def __init__(self, like: Shaped[Tensor, "b ..."]) -> None:
        none = torch.zeros(len(like), 0, dtype=torch.bool, device=like.device)
        self.present = none
        """Marks the nodes that are not absent; b m."""
        self._lines = none[:, None].expand(-1, 0, -1)  # b m m

    def extend(self, parents: Int[Tensor, "b t"], present: Bool[Tensor, "b t"]) -> Bool[Tensor, "b t m"]:
        """Adds nodes and returns a row for each that marks the present ones among itself and its ancestors."""
        line = lineage(parents, present, self._lines)
        self._lines = torch.cat((torch.nn.functional.pad(self._lines, (0, parents.shape[1])), line), 1)
        self.present = torch.cat((self.present, present), 1)
        return line


def lineage(
    parents: Int[Tensor, "b t"], present: Bool[Tensor, "b t"], older: Bool[Tensor, "b m m"]
) -> Bool[Tensor, "b t m+t"]:
    """Returns a row for each new node that marks the present ones among itself and its ancestors.

    `older` has the rows of older nodes.

    Cost: log2(t) rounds; in each, a node takes over the marks of the furthest new ancestor it has reached.
    """
    batch, new = parents.shape
    known = older.shape[1]
    above = torch.cat((older.new_zeros(batch, 1, known), older), 1)  # b m+1 m
    if new == 1:  # one step of a chain: the parent's row and itself
        above = above.gather(1, (parents[..., None] + 1).expand(-1, -1, known))
        return torch.cat((above, present[..., None]), -1)
    among = torch.where(parents >= known, parents - known + 1, 0)  # 0: the parent is no new node
    jump = torch.cat((parents.new_zeros(batch, 1), among), 1)  # b t+1; node 0 stands for all that are not new
    marks = torch.cat((present.new_zeros(batch, 1, new), torch.diag_embed(present)), 1)  # b t+1 t
    entry = torch.cat((parents.new_full((batch, 1), -1), torch.where(among > 0, -1, parents)), 1)  # b t+1
    for _ in range((new - 1).bit_length()):
        marks = marks | marks.gather(1, jump[..., None].expand(-1, -1, new))
        entry = entry.maximum(entry.gather(1, jump))
        jump = jump.gather(1, jump)
    above = above.gather(1, (entry[:, 1:, None] + 1).expand(-1, -1, known))  # b t m
    return torch.cat((above, marks[:, 1:]), -1)
