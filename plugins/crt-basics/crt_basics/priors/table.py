"""A prior that looks up its logits in a table, exact and tiny.

Axes: b batch, n ids of a sample, t new nodes, k committed positions, v vocabulary. Id -1 means absent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from crt_nn.ranges import check_rows
from crt_nn.slots import Slots
from crtcore.noise import Noise

if TYPE_CHECKING:
    from crt_basics.priors.specs import Table


class TablePrior(nn.Module):
    """Logits for every class and every context of the last ids; -inf marks impossible ids.

    A context is a number in base v + 1, the latest id its last digit; the digit v stands for "before the first id".
    """

    def __init__(self, logits: Float[Tensor, "c contexts v"]) -> None:
        super().__init__()
        self.vocabulary = logits.shape[-1]
        self.order = 0
        while (self.vocabulary + 1) ** self.order < logits.shape[1]:
            self.order += 1
        if (self.vocabulary + 1) ** self.order != logits.shape[1]:
            raise ValueError(f"expected a power of {self.vocabulary + 1} contexts, got {logits.shape[1]}")
        self.logits = nn.Parameter(logits.double())

    @classmethod
    def random(cls, spec: Table, vocabulary: int, classes: int | None) -> TablePrior:
        """Normal logits from torch's generator."""
        shape = (classes or 0) + 1, (vocabulary + 1) ** spec.order, vocabulary
        return cls(spec.spread * torch.randn(shape, dtype=torch.float64))

    def forward(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, noise: Noise | None = None
    ) -> Float[Tensor, "b n+1 v"]:
        """The table's rows.

        Raises: ValueError if rows or class ids are not as `check_rows` demands.
        """
        check_rows(ids, class_ids, self.vocabulary, len(self.logits) - 1)
        padded = functional.pad(ids.clamp(min=0), (self.order, 0), value=self.vocabulary)
        places = (self.vocabulary + 1) ** torch.arange(self.order - 1, -1, -1, device=ids.device)
        contexts = (padded.unfold(1, self.order, 1) * places).sum(-1)  # b n+1
        return self.logits[self.rows(ids, class_ids)[:, None], contexts]

    def rows(self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None) -> Int[Tensor, " b"]:
        """The part of the table for each class; the last one is for no class."""
        last = len(self.logits) - 1
        if class_ids is None:
            return ids.new_full((len(ids),), last)
        beyond = class_ids >= last  # where values are not read, no class must have the part for none
        return class_ids.where(class_ids >= 0, last) + beyond

    def open(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, capacity: int, room: int
    ) -> TableSession:
        """A session that has committed `ids`.

        Raises: ValueError if rows or class ids are not as `check_rows` demands.
        """
        check_rows(ids, class_ids, self.vocabulary, len(self.logits) - 1, entry=True)
        return TableSession(self, ids, class_ids, capacity=capacity, room=room)


class TableSession:
    """Keeps the context of the tip and of each tentative node."""

    next_logits: Float[Tensor, "b v"]

    @torch.no_grad()
    def __init__(
        self,
        table: TablePrior,
        ids: Int[Tensor, "b n"],
        class_ids: Int[Tensor, " b"] | None,
        *,
        capacity: int,
        room: int,
    ) -> None:
        self._table = table
        self._rows = table.rows(ids, class_ids)[:, None]  # b 1
        self._slots = Slots(ids, table.vocabulary, capacity=capacity, room=room)
        self._contexts = ids.new_full((len(ids), 1), table.logits.shape[1] - 1)  # b 1+m; the first one is the tip's
        self._present = self._contexts < 0  # b 1+m
        width = ids.shape[1]
        for column in range(width):
            self._grow(ids[:, column], ids.new_full((len(ids),), column - 1))
        self._keep(torch.arange(width, device=ids.device).expand_as(ids))

    def _grow(self, ids: Int[Tensor, " b"], parents: Int[Tensor, " b"]) -> None:
        """One more node a row; an absent one has its parent's context."""
        before = self._contexts.gather(1, parents[:, None] + 1)
        after = (before * (self._table.vocabulary + 1) + ids[:, None]) % self._table.logits.shape[1]
        self._contexts = torch.cat((self._contexts, after.where(ids[:, None] >= 0, before)), 1)
        self._present = torch.cat((self._present, ids[:, None] >= 0), 1)

    def _keep(self, path: Int[Tensor, "b k"]) -> None:
        """Makes the last column of a path the tip."""
        last = functional.pad(path, (1, 0), value=-1).gather(1, (path >= 0).sum(-1)[:, None])  # b 1
        self._contexts = self._contexts.gather(1, last + 1)
        self._present = self._contexts < 0
        self.next_logits = self._slots.within_capacity(self._table.logits[self._rows, self._contexts])[:, 0]

    @torch.no_grad()
    def extend(self, ids: Int[Tensor, "b t"], parents: Int[Tensor, "b t"] | None = None) -> Float[Tensor, "b t v"]:
        """Adds tentative nodes and returns the logits after each.

        Raises: ValueError if there is no room for them; on the CPU also if an id or a parent is out of range.
        """
        first = 1 + self._slots.tentative
        parents = self._slots.extend(ids, parents)
        for column in range(ids.shape[1]):
            self._grow(ids[:, column], parents[:, column])
        return self._slots.within_capacity(self._table.logits[self._rows, self._contexts[:, first:]])

    @torch.no_grad()
    def commit(self, path: Int[Tensor, "b k"]) -> None:
        """Keeps the columns of `path` and drops every other tentative node.

        Raises: ValueError, on the CPU, if `path` has a column that is not there, or columns out of order.
        """
        self._slots.check_path(path)
        self._slots.commit(self._present.gather(1, path + 1))
        self._keep(path)


def table(spec: Table, vocabulary: int, length: int, classes: int | None) -> TablePrior:
    """A table of normal logits: (classes + 1) times (vocabulary + 1) to the power of the order, times vocabulary."""
    return TablePrior.random(spec, vocabulary, classes)
