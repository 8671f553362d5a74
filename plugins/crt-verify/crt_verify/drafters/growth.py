"""Growth: trees for a batch, drawn level by level through a draft's session.

Axes: b batch, m nodes (the root counted), w nodes of a level, c coins, v vocabulary.
"""

from __future__ import annotations

import abc
from itertools import accumulate
from operator import mul
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_verify.drafters.drafting import Drafting
from crt_verify.drafters.draws import Draw
from crt_verify.tree import Trees


class Drafted(NamedTuple):
    """Drawn trees, and where they came from."""

    trees: Trees
    q: Float[Tensor, "b m v"]
    """The very rows that each node's children were drawn from; 0 for nodes that can have none."""
    places: Int[Tensor, "b m"]
    """Each node's place in the growth, by which `Drafting` knows it: absent nodes are passed over in the tree."""


class Level(NamedTuple):
    """The nodes of one level."""

    ids: Int[Tensor, "b w"]
    above: Int[Tensor, "b w"]
    """Place of each node's parent among those of the level before."""
    state: Float[Tensor, "b w s"]
    """What the growth remembers of each node."""


class Growth(abc.ABC):
    """Base of what grows trees; shapes decide the work, and no value is read on the host."""

    widths: tuple[int, ...]
    """Nodes of each level, absent ones included."""
    coins: tuple[int, ...]
    """Coins that each level takes."""

    @abc.abstractmethod
    def begin(self, rows: int, device: torch.device) -> Float[Tensor, "b 1 s"]:
        """What is remembered of the root."""

    @abc.abstractmethod
    def grow(self, depth: int, level: Level, q: Float[Tensor, "b w v"], coins: Int[Tensor, "b c"]) -> Level:
        """The nodes under a level; an absent node has none."""

    def propose(self, drafting: Drafting, depths: Int[Tensor, " b"], coins: Int[Tensor, "b c"]) -> Drafted:
        """Trees no deeper than `depths`, by 32-bit coins, as many as the levels take.

        Cost: one call of the draft a level; on the host's own device, none for a level that no row uses.
        """
        deepest = len(self.coins) if depths.device.type != "cpu" else max(1, int(depths.amax(0)))
        root = torch.zeros_like(depths)[:, None]  # b 1
        level = Level(root, root, self.begin(len(root), root.device))
        first, laws, ids, parents = 0, [], [root - 1], [root - 1]
        for depth, mine in enumerate(torch.split(coins, list(self.coins), -1)[:deepest]):
            laws.append(drafting.extend(level.ids, parents[-1]) if depth else drafting.root())
            above, level = first, self.grow(depth, level, laws[-1], mine)
            first += laws[-1].shape[1]
            level = level._replace(ids=torch.where(depth < depths[:, None], level.ids, -1))
            ids.append(level.ids)
            parents.append(above + level.above)
        laws.append(laws[-1].new_zeros(*level.ids.shape, laws[-1].shape[-1]))
        return _gathered(torch.cat(ids, 1), torch.cat(parents, 1), torch.cat(laws, 1))


class ShapedGrowth(Growth):
    """Gives each node of a level the same number of children, as far as q has ids."""

    def __init__(self, shape: tuple[int, ...], draw: Draw) -> None:
        self.shape = shape
        self.draw = draw
        self.widths = tuple(accumulate(shape, mul))
        self.coins = self.widths

    def begin(self, rows: int, device: torch.device) -> Float[Tensor, "b 1 s"]:
        """Nothing."""
        return torch.empty(rows, 1, 0, device=device)

    def grow(self, depth: int, level: Level, q: Float[Tensor, "b w v"], coins: Int[Tensor, "b c"]) -> Level:
        """Each node's children side by side, in draw order."""
        children = self.shape[depth]
        ids = self.draw(q, coins.reshape(*q.shape[:2], children))  # b w children
        ids = torch.where(level.ids[..., None] >= 0, ids, -1).flatten(1)
        above = torch.arange(ids.shape[1], device=ids.device) // children
        return Level(ids, above.expand_as(ids), level.state.repeat_interleave(children, 1))


def _gathered(ids: Int[Tensor, "b m"], parents: Int[Tensor, "b m"], q: Float[Tensor, "b m v"]) -> Drafted:
    """The nodes that are there, in their order, and the absent ones behind them."""
    present = ids >= 0
    present[:, 0] = True
    places = (~present).long().argsort(dim=-1, stable=True)  # b m
    inverse = places.argsort(-1)
    there = present.gather(1, places)
    moved = inverse.gather(1, parents.gather(1, places).clamp(min=0))
    moved = torch.where(there & (places > 0), moved, -1)
    tokens = ids.gather(1, places)
    laws = q.gather(1, places[..., None].expand_as(q))
    return Drafted(Trees(moved, tokens, present.sum(-1)), laws, places)
