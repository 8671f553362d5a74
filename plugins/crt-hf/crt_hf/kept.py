"""A prior that keeps the session of its last row, so that a row which goes on from it is not read again.

Axes: b batch, n ids of a row, t new nodes, k committed nodes, v vocabulary. Id -1 means absent.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crtcore.kinds import Prior, Session
from crtcore.noise import Noise

ROOM = 64
"""Nodes that a kept session has room for at least; a longer continuation is read in parts."""


class Kept:
    """The distribution of a prior; a session of one row goes on from the one before where its ids begin with those."""

    def __init__(self, prior: Prior) -> None:
        self.prior = prior
        self.vocabulary = prior.vocabulary
        self.longest: int | None = getattr(prior, "longest", None)
        self.reused = 0
        """Ids of the last row that were not read again."""
        self._last: KeptSession | None = None

    def __call__(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, noise: Noise | None = None
    ) -> Float[Tensor, "b n+1 v"]:
        """Returns the prior's logits."""
        return self.prior(ids, class_ids, noise=noise)

    def open(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, capacity: int, room: int
    ) -> Any:
        """A session; one of a single row without a class ends the one before.

        A new one has twice the capacity that is asked for, for the turns to come.
        Raises: ValueError as the prior does.
        """
        if len(ids) != 1 or class_ids is not None or (ids < 0).any():
            return self.prior.open(ids, class_ids, capacity=capacity, room=room)
        row, last = ids[0].tolist(), self._last
        self._last, self.reused = None, 0
        if last is not None and last.goes_on(row, capacity, room):
            self.reused = len(last.row)
            last.read(row)
        else:
            most = 2 * capacity if self.longest is None else max(capacity, min(2 * capacity, self.longest))
            last = KeptSession(self.prior.open(ids, capacity=most, room=max(room, ROOM)), row, most, max(room, ROOM))
        self._last = last
        return last


class KeptSession:
    """A session of one row that knows the ids which it has committed."""

    next_logits: Float[Tensor, "1 v"]

    def __init__(self, session: Session, row: list[int], capacity: int, room: int) -> None:
        self._session, self.row, self._capacity, self._room = session, row, capacity, room
        self._new: list[int] = []
        self.next_logits = session.next_logits

    def goes_on(self, row: list[int], capacity: int, room: int) -> bool:
        """Whether a row begins with what is committed, and a session of this size fits in."""
        fits = capacity <= self._capacity and room <= self._room
        return fits and len(self.row) <= len(row) and row[: len(self.row)] == self.row

    def read(self, row: list[int]) -> None:
        """Commits the ids of a row behind those that are committed."""
        if self._new:  # what was drafted last is dropped
            self.commit(self._nothing)
        for first in range(len(self.row), len(row), self._room):
            part = row[first : first + self._room]
            self.extend(self._nothing.new_tensor([part]))
            self.commit(torch.arange(len(part), device=self._nothing.device)[None])

    @property
    def _nothing(self) -> Int[Tensor, "1 0"]:
        return torch.empty(1, 0, dtype=torch.int64, device=self.next_logits.device)

    def extend(self, ids: Int[Tensor, "1 t"], parents: Int[Tensor, "1 t"] | None = None) -> Float[Tensor, "1 t v"]:
        """Adds tentative nodes and returns the logits after each.

        Raises: ValueError as the session does.
        """
        logits = self._session.extend(ids, parents)
        self._new += ids[0].tolist()
        return logits

    def commit(self, path: Int[Tensor, "1 k"]) -> None:
        """Commits columns of a path, and drops every other tentative node.

        Raises: ValueError as the session does.
        """
        self._session.commit(path)
        self.row = [*self.row, *(x for column in path[0].tolist() if column >= 0 and (x := self._new[column]) >= 0)]
        self._new = []
        self.next_logits = self._session.next_logits
