"""A head as a draft: its session reads the hidden states that the session of its target has kept.

Axes: b batch, n ids of a sample, t new nodes, m tentative nodes, k committed nodes, s slots seen, w width, d the head's
ids, v the target's. Id -1 means absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from crt_hf.heads.network import Head
from crt_hf.heads.unrolled import unrolled
from crt_hf.heads.watched import Features, Watched
from crt_hf.translated import Intersection
from crt_nn.context import AttentionContext, KVCache
from crt_nn.ranges import check_rows
from crt_nn.slots import Ancestry
from crtcore.kinds import Session
from crtcore.noise import Noise


class HeadDraft:
    """The distribution of a head over its target's ids; a row needs two ids for it, and is uniform before.

    A session reads the states of the target's session that was opened last, so decoders open that first, as they do.
    """

    longest: int | None = None

    def __init__(self, head: Head, target: Watched, common: Intersection) -> None:
        self.head, self.target, self.common = head, target, common
        self.vocabulary = common.vocabulary
        self.embedding = head.embedding

    def __call__(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, noise: Noise | None = None
    ) -> Float[Tensor, "b n+1 v"]:
        """Returns logits after each part of a row, given the target's states at all ids before the last.

        Raises: ValueError as `check_rows` does.
        """
        check_rows(ids, class_ids, self.vocabulary, 0)
        (logits,) = self.passes(ids, 1)
        return logits

    def passes(self, ids: Int[Tensor, "b n"], depth: int) -> Iterator[Float[Tensor, "b n+1 v"]]:
        """Logits as of a call, then where the id before is drafted, then where two are, and so on: `depth` in all."""
        first = min(ids.shape[1], 1) + 1
        blank = self.common.written(self.head.head.weight.new_zeros(len(ids), first, self.head.config.own))
        if ids.shape[1] < 2:
            yield from [blank] * depth
            return
        for states in unrolled(self.head, ids[:, 1:].clamp(min=0), self.target.read(ids)[:, :-1], depth):
            yield torch.cat((blank, self.common.written(self.head.logits(states))), 1)

    def open(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, capacity: int, room: int
    ) -> Session:
        """Opens a session beside the target's.

        Raises: ValueError as `check_rows` does, or if the target has no session of these rows.
        """
        check_rows(ids, class_ids, self.vocabulary, 0, entry=True)
        features = self.target.features
        if features is None or len(features.count) != len(ids):
            raise ValueError("expected the target's session of the same rows to be opened before the head's, got none")
        session: Any = HeadSession(self, features, ids, capacity=capacity, room=room)
        opened: Session = session  # of which `next_logits` are read alone
        return opened


class HeadSession:
    """Reads each committed id again with the target's states, once there are any; drafted ones with the head's own.

    Committed ids fill the front of a row's slots, tentative ones lie behind all rows'. Those of a commit are read by
    the call that comes next: with a chain behind them, if the target has all states of it.
    """

    lazy = True
    """Its `next_logits` take a call of the head."""

    @torch.no_grad()
    def __init__(
        self, draft: HeadDraft, features: Features, ids: Int[Tensor, "b n"], *, capacity: int, room: int
    ) -> None:
        self._draft, self._head, self._features = draft, draft.head, features
        self._capacity = capacity
        self._cache = KVCache(capacity + max(room, ids.shape[1]) + 1)  # the last slot is for absent ones
        self._count = torch.zeros_like(ids[:, :0].sum(1))
        """Positions of each row that are read: those of all committed ids but the first."""
        self._bound = 0
        width = self._head.width
        self._tip = self._head.embedding.weight.new_zeros(len(ids), width)
        """The head's own state at the last of them."""
        self._next: Tensor | None = draft.common.written(self._tip.new_zeros(len(ids), self._head.config.own))
        self._due: tuple[Tensor, Tensor] | None = None
        """Ids that are committed and not yet read, and the states above them."""
        self._clear()
        self._due = ids[:, 1:], self._tip.new_zeros(len(ids), max(ids.shape[1] - 1, 0), width)
        self._catch_up()

    @torch.no_grad()
    def extend(self, ids: Int[Tensor, "b t"], parents: Int[Tensor, "b t"] | None = None) -> Float[Tensor, "b t v"]:
        """Adds tentative nodes and returns the logits after each.

        A node reads the state of its parent, so nodes below others of the same call take calls of the head.
        Raises: ValueError if an id is out of range, on the CPU.
        """
        first, new = self._ids.shape[1], ids.shape[1]
        chain = torch.arange(first - 1, first - 1 + new, device=ids.device).expand(len(ids), -1)
        parents = chain if parents is None else parents
        if self._due is not None and ids.is_cpu and self._read(ids, parents, chain, self._due[0]):
            return self._grown(ids, parents, *self._due)
        self._catch_up()
        if new == 1 or (
            parents.is_cpu and (bool((parents < first).all()) or self._read(ids, parents, chain, ids[:, :0]))
        ):
            return self._grown(ids, parents)
        return torch.cat([self._grown(ids[:, j : j + 1], parents[:, j : j + 1]) for j in range(new)], 1)

    def _read(
        self, ids: Int[Tensor, "b t"], parents: Int[Tensor, "b t"], chain: Int[Tensor, "b t"], due: Int[Tensor, "b k"]
    ) -> bool:
        """Whether nodes are a chain behind what is committed, of ids whose states before the target has."""
        if self._ids.shape[1] or not torch.equal(parents, chain) or self._bound + due.shape[1] > self._capacity:
            return False
        places = self._count[:, None] + (torch.cat((due, ids), 1) >= 0).cumsum(-1)
        return bool((places - 1 < self._features.count[:, None]).all())

    @property
    def next_logits(self) -> Float[Tensor, "b v"]:
        """Logits after what is committed."""
        self._catch_up()
        if self._next is None:
            self._next = self._draft.common.written(self._head.logits(self._tip[:, None])[:, 0])
        return self._next

    @torch.no_grad()
    def commit(self, path: Int[Tensor, "b k"]) -> None:
        """Commits columns of a path, and drops every other tentative node."""
        self._catch_up()
        if self._ids.shape[1]:
            at = path.clamp(min=0)
            ids = self._ids.gather(1, at).where(path >= 0, -1)
            self._due = ids, self._before.gather(1, at[..., None].expand(-1, -1, self._head.width))
        self._clear()

    @torch.no_grad()
    def _catch_up(self) -> None:
        """Reads what is due, by a call of its own."""
        if self._due is not None:
            (ids, above), self._due = self._due, None
            if ids.shape[1]:
                chain = torch.arange(-1, ids.shape[1] - 1, device=ids.device).expand(len(ids), -1)
                line = Ancestry(self._count).extend(chain, ids >= 0)
                self._settle(ids >= 0, self._run(ids, line, above, 0)[0])
                self._clear()

    def _clear(self) -> None:
        """Starts again without tentative nodes."""
        rows, width = len(self._count), self._head.width
        self._ids = self._count.new_empty(rows, 0)
        self._before = self._tip.new_empty(rows, 0, width)
        self._states = self._tip[:, None]  # b 1+m: the tip, then the nodes
        self._ancestry = Ancestry(self._count)

    def _grown(
        self, ids: Int[Tensor, "b t"], parents: Int[Tensor, "b t"], due: Int[Tensor, "b k"] | None = None,
        above: Float[Tensor, "b k w"] | None = None,
    ) -> Float[Tensor, "b t v"]:  # fmt: skip
        """The logits after new nodes, no one of which reads the state of another; what is `due` is read with them."""
        first, present = self._ids.shape[1], ids >= 0
        known = (parents + 1).clamp(max=first)  # of a chain that the target has read, states above are not looked at
        own = self._states.gather(1, known[..., None].expand(-1, -1, self._head.width))
        if due is None or above is None:
            states, before = self._run(ids, self._ancestry.extend(parents, present), own, first)
        else:
            every, count = torch.cat((due, ids), 1), due.shape[1]
            chain = torch.arange(-1, every.shape[1] - 1, device=ids.device).expand(len(ids), -1)
            line = Ancestry(self._count).extend(chain, every >= 0)
            run = self._run(every, line, torch.cat((above, own), 1), 0)
            self._due = None
            self._settle(due >= 0, run[0][:, :count])
            self._clear()
            self._ancestry.extend(parents, present)
            states, before = (each[:, count:] for each in run)
        self._ids, self._before = torch.cat((self._ids, ids), 1), torch.cat((self._before, before), 1)
        if not present.is_cpu or not present.all():
            states = states.clone()
            for j in range(ids.shape[1]):  # an absent node stands for its parent
                line = torch.cat((self._states, states[:, :j]), 1)
                upper = line.gather(1, (parents[:, j : j + 1] + 1)[..., None].expand(-1, -1, self._head.width))
                states[:, j] = states[:, j].where(present[:, j, None], upper[:, 0])
        self._states = torch.cat((self._states, states), 1)
        return self._draft.common.written(self._head.logits(states))

    def _settle(self, present: Bool[Tensor, "b k"], states: Float[Tensor, "b k w"]) -> None:
        """Counts ids that were read as a chain at the first slots behind all rows' as committed."""
        new = present.shape[1]
        source = self._bound + torch.arange(new, device=present.device).expand(len(present), -1)
        target = (self._count[:, None] + present.cumsum(1) - 1).where(present, self._cache.slots - 1)
        self._cache.move(source, target)
        last = (present.long() * torch.arange(1, new + 1, device=present.device)).amax(1)  # 0: none
        self._tip = torch.cat((self._tip[:, None], states), 1)[torch.arange(len(present), device=present.device), last]
        self._count = self._count + present.sum(1)
        self._bound = min(self._bound + new, self._capacity)
        self._next = None

    def _run(
        self, ids: Int[Tensor, "b t"], line: Bool[Tensor, "b t m"], above: Float[Tensor, "b t w"], first: int
    ) -> tuple[Float[Tensor, "b t w"], Float[Tensor, "b t w"]]:
        """The states of nodes, and what they have read: the target's states where there are any, else those above."""
        positions = self._count[:, None] + line.sum(-1)  # b t
        theirs, there = self._features.at(positions - 1)
        before = self._head.fused(theirs).where(there[..., None], above)
        kept = torch.arange(self._bound, device=ids.device) < self._count[:, None]
        own = torch.eye(ids.shape[1], line.shape[2], dtype=torch.bool, device=ids.device).roll(first, 1)
        visible = torch.cat((kept[:, None].expand(-1, ids.shape[1], -1), line | own), -1)  # an absent node sees itself
        self._cache.offset = self._bound + first
        features = self._head.embedding(ids.clamp(min=0))
        return self._head(features, before, AttentionContext(positions, visible, self._cache)), before
