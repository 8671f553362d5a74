"""The residual of the target as drafted ids are rejected: three numbers a node, whatever the vocabulary.

Nested positive parts collapse, so after any rejections the residual is (p - C q)_+ / Z off the tried ids. A rejection
adds Z / (1 - s) to C, where s is the draft's probability of the tried ids (0 with replacement).
Axes: b batch, m nodes (the root counted), a all nodes of a batch, k nodes of one wave, v vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_verify.rules.tree_batch import TreeBatch, total

_HUGE = 1e300  # keeps 0 * C a number where q is tiny


class Turn(NamedTuple):
    """Drafted nodes when it is their turn to be tested."""

    rest: Float[Tensor, " k"]
    """(p - C q)_+ of their ids; 0 for an id that was tried before."""
    q_token: Float[Tensor, " k"]
    """The draft's probability of their ids."""
    left: Float[Tensor, " k"]
    """1 - s: the draft's mass that is still to be drawn from."""
    mass: Float[Tensor, " k"]
    """Z: the sum of (p - C q)_+ off the tried ids."""


class Residual:
    """The residual at every node, updated for one wave of drafted nodes at a time."""

    def __init__(self, batch: TreeBatch, *, replacement: bool) -> None:
        self.replacement = replacement
        self.p, self.q = batch.p.flatten(0, 1), batch.q.flatten(0, 1)  # a v
        self.x, self.there, self.q_token = (x.flatten() for x in (batch.tokens, batch.there, batch.q_token))
        self.parents = (batch.rows[:, None] * len(batch.node) + batch.parents).flatten()  # a
        self.rest = self.p.clone()
        self.scale, self.spent = torch.zeros_like(self.q_token), torch.zeros_like(self.q_token)
        self.mass, self.open = torch.ones_like(self.q_token), torch.ones_like(self.there)

    def turn(self, nodes: Int[Tensor, " k"]) -> Turn:
        """The numbers that the tests of a wave need."""
        at, q_token = self.parents[nodes], self.q_token[nodes]
        rest = (self.rest[at, self.x[nodes]] - self.scale[at] * q_token).clamp(min=0)
        rest = torch.where(self.open[at] & self.there[nodes], rest, 0)
        left = (1 - self.spent[at]).maximum(q_token)  # the last id has all that is left, whatever was rounded
        return Turn(rest, q_token, left, self.mass[at])

    def reject(self, nodes: Int[Tensor, " k"], step: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
        """Adds `step` to C and removes each node's id; returns Z.

        If nothing is left, which only rounding can cause, the parent is closed and its residual is p again.
        """
        at, x = self.parents[nodes], self.x[nodes][:, None]
        moves = self.there[nodes] & self.open[at]
        rest = self.rest[at]  # k v
        rest = rest.scatter(1, x, torch.where(moves[:, None], 0, rest.gather(1, x)))
        scale = (self.scale[at] + torch.where(moves, step, 0)).clamp(max=_HUGE)
        if not self.replacement:
            self.spent[at] += torch.where(moves, self.q_token[nodes], 0)
        mass = total((rest - scale[:, None] * self.q[at]).clamp_(min=0))
        empty = moves & (mass == 0)
        self.open[at] &= ~empty
        self.scale[at] = torch.where(empty, 0, scale)
        self.rest[at] = torch.where(empty[:, None], self.p[at], rest)
        self.mass[at] = torch.where(moves & ~empty, mass, torch.where(empty, 1, self.mass[at]))
        return mass
