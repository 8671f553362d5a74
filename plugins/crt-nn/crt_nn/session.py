"""A session of any transformer with a KV cache, for chains and trees of ids.

Axes: b batch, n ids of a sample, p prefix positions, t new nodes, m tentative nodes, k committed positions, w width,
v vocabulary. Id -1 means absent.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from crt_nn.context import AttentionContext, KVCache
from crt_nn.slots import Ancestry, Slots
from crt_nn.starts import Starts, without


@runtime_checkable  # so that test-time type checkers accept it
class Network(Protocol):
    """The transformer of a session."""

    vocabulary: int

    def begin(self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None) -> Float[Tensor, "b p+n w"]:
        """Returns input features of a prefix of at least one position, then of ids; id -1 may be embedded as any id."""

    def embed(self, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b t w"]:
        """Returns input features of ids; id -1 may be embedded as any id."""

    def states(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """Returns hidden states of positions within a context."""

    def logits(self, states: Float[Tensor, "b t w"]) -> Float[Tensor, "b t v"]:
        """Returns logits after each position."""


class CachedSession:
    """Computes keys and values once. Committed ones fill the front of a row, tentative ones follow behind all rows'.

    A slot beyond what a row has committed is written before it is read, so that stale slots do no harm.
    """

    next_logits: Float[Tensor, "b v"]
    _ancestry: Ancestry
    _logits: list[Tensor]
    """Logits after what is committed, then after the nodes of each `extend`."""

    @torch.no_grad()
    def __init__(
        self,
        network: Network,
        ids: Int[Tensor, "b n"],
        class_ids: Int[Tensor, " b"] | None,
        *,
        capacity: int,
        room: int,
        start: int | None = None,
    ) -> None:
        """`start` is an id that is the prefix itself where it begins a row without a class; None: no id is."""
        self._network = network
        self._starts = None if start is None else Starts(ids, class_ids, start)
        if self._starts is not None:
            ids = without(ids, self._starts.merged)
        self._slots = Slots(ids, network.vocabulary, capacity=capacity, room=room)
        features = network.begin(ids, class_ids)  # b p+n w
        self._prefix = features.shape[1] - ids.shape[1]
        self._cache = KVCache(self._prefix + capacity + room)
        positions = torch.arange(features.shape[1], device=ids.device).expand(len(ids), -1)
        known = torch.nn.functional.pad(ids, (self._prefix, 0), value=-1)  # b p+n
        states = network.states(features, AttentionContext(positions, cache=self._cache, ids=known))
        last = (self._count - 1)[:, None, None].expand(-1, 1, states.shape[-1])
        self.next_logits = network.logits(states.gather(1, last))[:, 0]
        self._reset(self.next_logits[:, None])

    @property
    def _count(self) -> Int[Tensor, " b"]:
        """Positions that each row has committed, with the prefix."""
        return self._prefix + self._slots.filled

    @property
    def _bound(self) -> int:
        """The first slot behind all that a row can have committed."""
        return self._prefix + self._slots.bound

    @torch.no_grad()
    def extend(self, ids: Int[Tensor, "b t"], parents: Int[Tensor, "b t"] | None = None) -> Float[Tensor, "b t v"]:
        """Adds tentative nodes and returns the logits after each.

        Raises: ValueError if there are more than `room` of them; on the CPU also if an id or a parent is out of range.
        """
        first = self._slots.tentative
        parents = self._slots.extend(ids, parents)
        present = ids >= 0
        if self._starts is not None:  # such a node stands for the prefix, as an absent one for its parent
            present = present & ~self._starts.extend(ids, parents)
        line = self._ancestry.extend(parents, present)  # b t m
        kept = torch.arange(self._bound, device=ids.device) < self._count[:, None]
        visible = torch.cat((kept[:, None].expand(-1, ids.shape[1], -1), line), -1)  # b t s
        positions = self._count[:, None] - 1 + line.sum(-1)  # b t
        self._cache.offset = self._bound + first
        states = self._network.states(
            self._network.embed(ids), AttentionContext(positions, visible, self._cache, ids=ids)
        )
        self._logits.append(self._within_capacity(self._network.logits(states)))
        return self._logits[-1]

    @torch.no_grad()
    def commit(self, path: Int[Tensor, "b k"]) -> None:
        """Commits the columns of `path` without absent nodes, and drops every other tentative node.

        Raises: ValueError, on the CPU, if `path` has a column that is not there, or columns out of order.
        """
        kept = self._slots.kept(torch.nn.functional.pad(self._ancestry.present, (1, 0)), path)
        if self._starts is not None:
            self._starts.commit(path)
        path = self._present(path, kept)
        length = (path >= 0).sum(-1)  # b
        steps = torch.arange(path.shape[1], device=path.device)
        target = (self._count[:, None] + steps).clamp(max=self._cache.slots - 1)
        self._cache.move(self._bound + path.clamp(min=0), target)
        last = torch.cat((torch.full_like(length, -1)[:, None], path), 1).gather(1, length[:, None]) + 1  # b 1
        self._slots.commit(path >= 0)
        next_logits = self._within_capacity(self._logits_after(last[:, 0])[:, None])  # b 1 v
        self.next_logits = next_logits[:, 0]
        self._reset(next_logits)

    @torch.no_grad()
    def narrow(self, rows: Int[Tensor, " k"]) -> None:
        """Keeps these rows alone, in this order, as where others have ended. Cost: a copy of what is cached of them.

        Raises: ValueError if there are tentative nodes.
        """
        if self._slots.tentative:
            raise ValueError(f"expected no tentative ids, got {self._slots.tentative}; commit first")
        self._slots.narrow(rows)
        self._cache.narrow(rows)
        if self._starts is not None:
            self._starts.narrow(rows)
        self.next_logits = self.next_logits[rows]
        self._reset(self.next_logits[:, None])

    def _logits_after(self, last: Int[Tensor, " b"]) -> Float[Tensor, "b v"]:
        """Returns the logits after one node of each row; node 0 stands for what is committed.

        Cost: two passes over `b v` for each extension, whatever its number of nodes.
        """
        rows, first = torch.arange(len(last), device=last.device), 1
        chosen = self._logits[0][:, 0]
        for logits in self._logits[1:]:  # b t v
            here = logits[rows, (last - first).clamp(0, logits.shape[1] - 1)]
            chosen, first = torch.where((last >= first)[:, None], here, chosen), first + logits.shape[1]
        return chosen

    def _within_capacity(self, logits: Float[Tensor, "b t v"]) -> Float[Tensor, "b t v"]:
        return self._slots.within_capacity(logits, 0 if self._starts is None else self._starts.merged)

    def _reset(self, next_logits: Float[Tensor, "b 1 v"]) -> None:
        """Starts again without tentative nodes."""
        self._ancestry, self._logits = Ancestry(next_logits), [next_logits]
        if self._starts is not None:
            self._starts.reset(self._slots.filled)

    def _present(self, path: Int[Tensor, "b k"], kept: Bool[Tensor, "b k"]) -> Int[Tensor, "b k"]:
        """Returns the path without absent nodes, moved to the left."""
        order = (~kept).to(torch.int8).argsort(dim=-1, stable=True)
        return path.where(kept, -1).gather(1, order)
