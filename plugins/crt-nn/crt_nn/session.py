"""A session of any transformer, with cached keys and values, serving chains and trees.

Axes: b batch, n ids of a sample, p prefix positions, t new nodes, m tentative nodes, k committed positions, w width,
v vocabulary. Id -1 means absent.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_nn.context import AttentionContext, KVCache
from crt_nn.slots import Ancestry, Slots


@runtime_checkable  # so that test-time type checkers accept it
class Network(Protocol):
    """What a session needs of a transformer."""

    def begin(self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None) -> Float[Tensor, "b p+n w"]:
        """Input features of a prefix of at least one position, then of ids, where id -1 is any harmless one."""

    def embed(self, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b t w"]:
        """Input features of ids, where id -1 is any harmless one."""

    def states(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """Hidden states of positions within a scope."""

    def logits(self, states: Float[Tensor, "b t w"]) -> Float[Tensor, "b t v"]:
        """Logits after each position."""


class CachedSession:
    """Keys and values are computed once: committed ones lie at the front of a row, tentative ones behind every row's.

    Slots are written beyond what a row has committed before they are read, so stale ones do no harm.
    """

    next_logits: Float[Tensor, "b v"]
    _ancestry: Ancestry
    _logits: list[Tensor]
    """After the tip, and after each `extend`'s nodes."""

    @torch.no_grad()
    def __init__(
        self,
        network: Network,
        ids: Int[Tensor, "b n"],
        class_ids: Int[Tensor, " b"] | None,
        *,
        capacity: int,
        room: int,
    ) -> None:
        self._network = network
        self._slots = Slots(ids, capacity=capacity, room=room)
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
        """Positions that each row has committed, the prefix included."""
        return self._prefix + self._slots.filled

    @property
    def _bound(self) -> int:
        """The slot behind the last one that a row can have committed."""
        return self._prefix + self._slots.bound

    @torch.no_grad()
    def extend(self, ids: Int[Tensor, "b t"], parents: Int[Tensor, "b t"] | None = None) -> Float[Tensor, "b t v"]:
        """Adds tentative nodes and returns the logits after each.

        Raises: ValueError if there is no room for them.
        """
        first = self._slots.tentative
        parents = self._slots.extend(ids, parents)
        line = self._ancestry.extend(parents, ids >= 0)  # b t m
        kept = torch.arange(self._bound, device=ids.device) < self._count[:, None]
        visible = torch.cat((kept[:, None].expand(-1, ids.shape[1], -1), line), -1)  # b t s
        positions = self._count[:, None] - 1 + line.sum(-1)  # b t
        self._cache.offset = self._bound + first
        states = self._network.states(
            self._network.embed(ids), AttentionContext(positions, visible, self._cache, ids=ids)
        )
        self._logits.append(self._slots.within_capacity(self._network.logits(states)))
        return self._logits[-1]

    @torch.no_grad()
    def commit(self, path: Int[Tensor, "b k"]) -> None:
        """Keeps the columns of `path`, leaving out absent nodes, and drops every other tentative node."""
        path = self._present(path)
        length = (path >= 0).sum(-1)  # b
        steps = torch.arange(path.shape[1], device=path.device)
        target = (self._count[:, None] + steps).clamp(max=self._cache.slots - 1)
        self._cache.move(self._bound + path.clamp(min=0), target)
        last = torch.cat((torch.full_like(length, -1)[:, None], path), 1).gather(1, length[:, None]) + 1  # b 1
        self._slots.commit(path >= 0)
        next_logits = self._slots.within_capacity(self._logits_after(last[:, 0])[:, None])  # b 1 v
        self.next_logits = next_logits[:, 0]
        self._reset(next_logits)

    def _logits_after(self, last: Int[Tensor, " b"]) -> Float[Tensor, "b v"]:
        """The logits after a node of each row, where 0 is the tip.

        Cost: two passes over `b v` for each extension, however many nodes it brought.
        """
        rows, first = torch.arange(len(last), device=last.device), 1
        chosen = self._logits[0][:, 0]
        for logits in self._logits[1:]:  # b t v
            here = logits[rows, (last - first).clamp(0, logits.shape[1] - 1)]
            chosen, first = torch.where((last >= first)[:, None], here, chosen), first + logits.shape[1]
        return chosen

    def _reset(self, next_logits: Float[Tensor, "b 1 v"]) -> None:
        """Begins again with no tentative node."""
        self._ancestry, self._logits = Ancestry(next_logits), [next_logits]

    def _present(self, path: Int[Tensor, "b k"]) -> Int[Tensor, "b k"]:
        """The path with absent nodes taken out and what is left moved to the left."""
        present = torch.nn.functional.pad(self._ancestry.present, (1, 0))  # b 1+m
        kept = present.gather(1, path + 1)
        order = (~kept).to(torch.int8).argsort(dim=-1, stable=True)
        return path.where(kept, -1).gather(1, order)
