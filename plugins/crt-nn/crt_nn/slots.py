"""Bookkeeping that sessions share: limits, and ancestors in a tree of ids.

Axes: b batch, n ids of a prompt, t new nodes, m tentative nodes, k committed positions, v vocabulary.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from crt_nn.ranges import check_ids, readable


class Slots:
    """Counts the ids of a session: tentative ones by shape, committed ones for each row."""

    def __init__(self, prompt: Int[Tensor, "b n"], vocabulary: int, *, capacity: int, room: int) -> None:
        if prompt.shape[1] > capacity:
            raise ValueError(f"expected a prompt of at most {capacity} ids (capacity), got {prompt.shape[1]}")
        self.rows = len(prompt)
        self.vocabulary = vocabulary
        self.capacity = capacity
        self.room = room
        self.tentative = 0
        """Columns added since the last commit."""
        self.bound = prompt.shape[1]
        """The most ids that a row within its capacity can have committed."""
        self._columns = prompt.shape[1]
        """Columns committed, the absent ones of rows included."""
        self.filled = (prompt >= 0).sum(-1)  # b
        """Ids that each row has committed."""

    def extend(self, ids: Int[Tensor, "b t"], parents: Int[Tensor, "b t"] | None) -> Int[Tensor, "b t"]:
        """Counts new columns and returns their parents; None is a chain behind the last column.

        Raises: ValueError if there are more than `room` tentative columns; on the CPU also if an id or a parent is out
        of range.
        """
        check_ids(ids, self.vocabulary, least=-1, entry=False)
        self._check_batch(ids, "ids")
        first, last = self.tentative, self.tentative + ids.shape[1]
        if last > self.room:
            raise ValueError(f"expected at most {self.room} tentative ids (room), got {last}")
        if parents is None:
            parents = torch.arange(first - 1, last - 1, device=ids.device).expand_as(ids)
        else:
            self._check_parents(parents, ids)
        self.tentative = last
        return parents

    def kept(self, present: Bool[Tensor, "b columns"], path: Int[Tensor, "b k"]) -> Bool[Tensor, "b k"]:
        """Returns which columns of a path are present; `present` has a mark for none, then for each column.

        Raises: ValueError as `check_path` does.
        Cost: of one column, as in most steps, no value is read, as `gather` finds one that is out of range.
        """
        if path.shape[-1] == 1 and path.shape[0] == self.rows:
            try:
                return present.gather(1, path + 1)
            except (RuntimeError, IndexError):
                self.check_path(path)
                raise
        self.check_path(path)
        return present.gather(1, path + 1)

    def check_path(self, path: Int[Tensor, "b k"]) -> None:
        """Nothing, if the columns of `path` are tentative ones, each behind that before it, or absent.

        Raises: ValueError; columns out of range or out of order are noticed on the CPU alone.
        """
        check_ids(path, self.tentative, name="columns of a path", least=-1, entry=False)
        self._check_batch(path, "columns of a path")
        if path.shape[1] > 1 and readable(path, entry=False):
            back = (path[:, 1:] >= 0) & (path[:, 1:] <= path[:, :-1].cummax(1).values)
            if True in (rows := back.any(1).tolist()):
                row = rows.index(True)
                raise ValueError(f"row {row}: expected a path from the root side on, got {path[row].tolist()}")

    def _check_batch(self, values: Tensor, name: str) -> None:
        if values.ndim != 2 or values.shape[0] != self.rows:
            raise ValueError(f"expected {name} of {self.rows} rows, got the shape {tuple(values.shape)}")

    def _check_parents(self, parents: Int[Tensor, "b t"], ids: Int[Tensor, "b t"]) -> None:
        check_ids(parents, self.room, name="parents", least=-1, entry=False)
        if parents.shape != ids.shape:
            raise ValueError(f"expected a parent for each id, {tuple(ids.shape)}, got {tuple(parents.shape)}")
        if readable(parents, entry=False):
            own = torch.arange(self.tentative, self.tentative + ids.shape[1])
            if True in (rows := (parents >= own).any(1).tolist()):
                row = rows.index(True)
                raise ValueError(
                    f"row {row}: expected parents before the own columns, from {self.tentative} on, "
                    f"got {parents[row].tolist()}"
                )

    def commit(self, kept: Bool[Tensor, "b k"]) -> None:
        """Counts the marked columns as committed."""
        self.tentative = 0
        self._columns += kept.shape[1]
        self.bound = min(self._columns, self.capacity)
        self.filled = self.filled + kept.sum(-1)

    def narrow(self, rows: Int[Tensor, " k"]) -> None:
        """Keeps these rows alone, in this order."""
        self.rows, self.filled = len(rows), self.filled[rows]

    def within_capacity(
        self, logits: Float[Tensor, "b t v"], more: Int[Tensor, " b"] | int = 0
    ) -> Float[Tensor, "b t v"]:
        """Returns the logits, with NaN in rows that have committed more than the capacity, with `more` ids elsewhere.

        It depends on values of a tensor, so it raises nothing here; decoders check for NaN.
        Cost: nothing as long as the columns committed fit the capacity; then a sum, which takes a third of the time of
        `masked_fill` on a CPU.
        """
        if self._columns <= self.capacity:
            return logits
        beyond = self.filled + more > self.capacity
        overrun = torch.zeros_like(self.filled, dtype=logits.dtype).masked_fill_(beyond, torch.nan)
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
