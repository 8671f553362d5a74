"""Tree builders: draft trees for a batch, sampled level by level through a draft's session.

Axes: b batch, m nodes (the root counted), w nodes of a level, u uniforms, v vocabulary, s numbers kept of a node.
"""

from __future__ import annotations

import abc
from itertools import accumulate
from operator import mul
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_verify.drafters.children import ChildSampler
from crt_verify.drafters.draft_session import DraftSession
from crt_verify.tree import Trees


class Proposal(NamedTuple):
    """Draft trees, with the rows that they were sampled from."""

    trees: Trees
    q: Float[Tensor, "b m v"]
    """The very rows that each node's children were sampled from; 0 for nodes that cannot have any."""
    places: Int[Tensor, "b m"]
    """Each node's number in the `DraftSession`, which counts absent nodes; the tree leaves them out."""


class Level(NamedTuple):
    """The nodes of one level."""

    ids: Int[Tensor, "b w"]
    above: Int[Tensor, "b w"]
    """Place of each node's parent in the level before."""
    state: Float[Tensor, "b w s"]
    """What the builder keeps of each node."""


class Grown(NamedTuple):
    """Nodes of whole levels, behind one another."""

    ids: Int[Tensor, "b m"]
    parents: Int[Tensor, "b m"]
    rows: list[Float[Tensor, "b w v"]]
    """What the children of each level were chosen from, but for the last."""


class TreeBuilder(abc.ABC):
    """Base of the tree builders; shapes decide the work, and no value is read on the host."""

    widths: tuple[int, ...]
    """Nodes of each level, absent ones included."""
    uniforms: tuple[int, ...]
    """Uniforms that each level takes."""

    @abc.abstractmethod
    def initial_state(self, rows: int, device: torch.device) -> Float[Tensor, "b 1 s"]:
        """What is kept of the root."""

    @abc.abstractmethod
    def expand(self, depth: int, level: Level, q: Float[Tensor, "b w v"], uniforms: Int[Tensor, "b u"]) -> Level:
        """The children of a level's nodes; an absent node has none."""

    def propose(self, session: DraftSession, depths: Int[Tensor, " b"], uniforms: Int[Tensor, "b u"]) -> Proposal:
        """Trees no deeper than `depths`, by as many 32-bit uniforms as the levels take.

        Cost: one draft call a level; on a CPU, none for a level that no row uses.
        """
        kept: list[Level] = []
        grown = self.levels(session, depths, uniforms, kept)
        rows = [*grown.rows, grown.rows[-1].new_zeros(*kept[-1].ids.shape, grown.rows[-1].shape[-1])]
        return gathered(grown.ids, grown.parents, torch.cat(rows, 1))

    def levels(
        self, session: DraftSession, depths: Int[Tensor, " b"], uniforms: Int[Tensor, "b u"], kept: list[Level]
    ) -> Grown:
        """All nodes of trees no deeper than `depths`, absent ones included; `kept` gets the levels, the root first."""
        deepest = len(self.uniforms) if depths.device.type != "cpu" else max(1, int(depths.amax(0)))
        root = torch.zeros_like(depths)[:, None]  # b 1
        level = Level(root, root, self.initial_state(len(root), root.device))
        kept.append(level)
        first, rows, ids, parents = 0, [], [root - 1], [root - 1]
        for depth, own in enumerate(torch.split(uniforms, list(self.uniforms), -1)[:deepest]):
            read = (level.ids >= 0) & (depth < depths[:, None])
            rows.append(session.extend(level.ids, parents[-1], read) if depth else session.root(read))
            above, level = first, self.expand(depth, level, rows[-1], own)
            first += rows[-1].shape[1]
            level = level._replace(ids=torch.where(depth < depths[:, None], level.ids, -1))
            kept.append(level)
            ids.append(level.ids)
            parents.append(above + level.above)
        return Grown(torch.cat(ids, 1), torch.cat(parents, 1), rows)


class FixedShapeBuilder(TreeBuilder):
    """Gives each node of a level the same number of children, as far as q has ids."""

    def __init__(self, shape: tuple[int, ...], sample: ChildSampler) -> None:
        self.shape = shape
        self.sample = sample
        self.widths = tuple(accumulate(shape, mul))
        self.uniforms = self.widths

    def initial_state(self, rows: int, device: torch.device) -> Float[Tensor, "b 1 s"]:
        """Nothing."""
        return torch.empty(rows, 1, 0, device=device)

    def expand(self, depth: int, level: Level, q: Float[Tensor, "b w v"], uniforms: Int[Tensor, "b u"]) -> Level:
        """Each node's children side by side, in draw order."""
        children = self.shape[depth]
        ids = self.sample(q, uniforms.reshape(*q.shape[:2], children))  # b w children
        ids = torch.where(level.ids[..., None] >= 0, ids, -1).flatten(1)
        above = torch.arange(ids.shape[1], device=ids.device) // children
        return Level(ids, above.expand_as(ids), level.state.repeat_interleave(children, 1))


def gathered(ids: Int[Tensor, "b m"], parents: Int[Tensor, "b m"], q: Float[Tensor, "b m v"]) -> Proposal:
    """The present nodes in their order, followed by the absent ones."""
    trees, places = ordered_nodes(ids, parents)
    return Proposal(trees, q.gather(1, places[..., None].expand_as(q)), places)


def ordered_nodes(ids: Int[Tensor, "b m"], parents: Int[Tensor, "b m"]) -> tuple[Trees, Int[Tensor, "b m"]]:
    """Trees with the absent nodes last, and the place that each node had."""
    present = ids >= 0
    present[:, 0] = True
    places = (~present).long().argsort(dim=-1, stable=True)  # b m
    inverse = places.argsort(-1)
    there = present.gather(1, places)
    moved = inverse.gather(1, parents.gather(1, places).clamp(min=0))
    moved = torch.where(there & (places > 0), moved, -1)
    tokens = ids.gather(1, places)
    return Trees(moved, tokens, present.sum(-1)), places
