"""What is left of the target's law as drafted ids are rejected: three numbers a node, whatever the vocabulary.

Axes: b batch, m nodes (the root counted), v vocabulary.
Source: nested positive parts collapse, so after any rejections what is left is (p - C q)_+ / Z off the tried ids.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from crt_verify.rules.forest import Forest, total

_HUGE = 1e300  # keeps 0 * C a number where q is next to nothing


class Met(NamedTuple):
    """A drafted node as its turn comes."""

    rest: Float[Tensor, " b"]
    """What is left at its id, not normalised; 0 for an id that was tried before."""
    drafted: Float[Tensor, " b"]
    """The draft's probability of its id."""
    left: Float[Tensor, " b"]
    """The draft's mass that is still to be drawn from."""
    mass: Float[Tensor, " b"]
    """The sum of what is left."""


class Residual:
    """What is left at every node, taken down one drafted node at a time, in the order of the nodes."""

    def __init__(self, forest: Forest, *, replacement: bool) -> None:
        self.forest, self.replacement = forest, replacement
        self.rest = forest.p.clone()
        self.scale, self.drawn = torch.zeros_like(forest.wanted), torch.zeros_like(forest.wanted)
        self.mass, self.open = torch.ones_like(forest.wanted), torch.ones_like(forest.exists)

    def meet(self, node: int) -> Met:
        """What the test of a node needs."""
        rows, parent, x = self.forest.rows, self.forest.parents[:, node], self.forest.tokens[:, node]
        drafted = self.forest.drafted[:, node]
        rest = (self.rest[rows, parent, x] - self.scale[rows, parent] * drafted).clamp(min=0)
        rest = torch.where(self.open[rows, parent] & self.forest.there[:, node], rest, 0)
        left = (1 - self.drawn[rows, parent]).maximum(drafted)  # the last id has what is left, whatever was rounded
        return Met(rest, drafted, left, self.mass[rows, parent])

    def reject(self, node: int, step: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """Takes `step` more of the draft's law off, and the node's id; returns the sum of what is left.

        Once nothing is left, as rounding alone can bring about, the node is closed and has the target's law.
        """
        rows, parent, x = self.forest.rows, self.forest.parents[:, node], self.forest.tokens[:, node]
        moves = self.forest.there[:, node] & self.open[rows, parent]
        self.rest[rows, parent, x] = torch.where(moves, 0, self.rest[rows, parent, x])
        scale = (self.scale[rows, parent] + torch.where(moves, step, 0)).clamp(max=_HUGE)
        if not self.replacement:
            self.drawn[rows, parent] += torch.where(moves, self.forest.drafted[:, node], 0)
        rest = self.rest[rows, parent]  # b v
        mass = total((rest - scale[:, None] * self.forest.q[rows, parent]).clamp(min=0))
        spent = moves & (mass == 0)
        self.open[rows, parent] &= ~spent
        self.scale[rows, parent] = torch.where(spent, 0, scale)
        self.rest[rows, parent] = torch.where(spent[:, None], self.forest.p[rows, parent], rest)
        self.mass[rows, parent] = torch.where(moves & ~spent, mass, torch.where(spent, 1, self.mass[rows, parent]))
        return mass
