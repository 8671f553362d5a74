"""What is left of the target's law as drafted ids are rejected: three numbers a node, whatever the vocabulary.

Axes: b batch, m nodes (the root counted), a all nodes of a batch, k nodes of one wave, v vocabulary.
Source: nested positive parts collapse, so after any rejections what is left is (p - C q)_+ / Z off the tried ids.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_verify.rules.forest import Forest, total

_HUGE = 1e300  # keeps 0 * C a number where q is next to nothing


class Met(NamedTuple):
    """Drafted nodes as their turn comes."""

    rest: Float[Tensor, " k"]
    """What is left at their ids, not normalised; 0 for an id that was tried before."""
    drafted: Float[Tensor, " k"]
    """The draft's probability of their ids."""
    left: Float[Tensor, " k"]
    """The draft's mass that is still to be drawn from."""
    mass: Float[Tensor, " k"]
    """The sum of what is left."""


class Residual:
    """What is left at every node, taken down a wave of drafted nodes at a time."""

    def __init__(self, forest: Forest, *, replacement: bool) -> None:
        self.replacement = replacement
        self.p, self.q = forest.p.flatten(0, 1), forest.q.flatten(0, 1)  # a v
        self.x, self.there, self.drafted = (x.flatten() for x in (forest.tokens, forest.there, forest.drafted))
        self.parents = (forest.rows[:, None] * len(forest.node) + forest.parents).flatten()  # a
        self.rest = self.p.clone()
        self.scale, self.drawn = torch.zeros_like(self.drafted), torch.zeros_like(self.drafted)
        self.mass, self.open = torch.ones_like(self.drafted), torch.ones_like(self.there)

    def meet(self, nodes: Int[Tensor, " k"]) -> Met:
        """What the tests of a wave need."""
        at, drafted = self.parents[nodes], self.drafted[nodes]
        rest = (self.rest[at, self.x[nodes]] - self.scale[at] * drafted).clamp(min=0)
        rest = torch.where(self.open[at] & self.there[nodes], rest, 0)
        left = (1 - self.drawn[at]).maximum(drafted)  # the last id has what is left, whatever was rounded
        return Met(rest, drafted, left, self.mass[at])

    def reject(self, nodes: Int[Tensor, " k"], step: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
        """Takes `step` more of the draft's law off, and each node's id; returns the sum of what is left.

        Once nothing is left, as rounding alone can bring about, a parent is closed and has the target's law.
        """
        at, x = self.parents[nodes], self.x[nodes][:, None]
        moves = self.there[nodes] & self.open[at]
        rest = self.rest[at]  # k v
        rest = rest.scatter(1, x, torch.where(moves[:, None], 0, rest.gather(1, x)))
        scale = (self.scale[at] + torch.where(moves, step, 0)).clamp(max=_HUGE)
        if not self.replacement:
            self.drawn[at] += torch.where(moves, self.drafted[nodes], 0)
        mass = total((rest - scale[:, None] * self.q[at]).clamp_(min=0))
        spent = moves & (mass == 0)
        self.open[at] &= ~spent
        self.scale[at] = torch.where(spent, 0, scale)
        self.rest[at] = torch.where(spent[:, None], self.p[at], rest)
        self.mass[at] = torch.where(moves & ~spent, mass, torch.where(spent, 1, self.mass[at]))
        return mass
