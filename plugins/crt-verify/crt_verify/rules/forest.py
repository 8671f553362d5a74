"""What the rules read of a padded batch of trees, and what can be wrong with it.

Axes: b batch, m nodes (the root counted), v vocabulary. Row n of p and q is the law of what follows node n.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from crt_verify.tree import Trees
from crt_verify.verdict import FAULTS, TOLERANCE, unsound

ACCEPT, FINAL = 2**24, 2**32
"""Accept and final coins run from 0 up to these."""
_POINT = 2.0**60  # the resolution of `crtcore.pick`


class Forest:
    """Trees and their rows in float64; what is absent, and the draft's row of a childless node, is 0."""

    def __init__(self, trees: Trees, p: Float[Tensor, "b m v"], q: Float[Tensor, "b m v"]) -> None:
        size, most, vocabulary = p.shape
        self.node = torch.arange(most, device=p.device)
        self.rows = torch.arange(size, device=p.device)
        self.there = (self.node < trees.nodes[:, None]) & (self.node > 0)  # b m: the drafted nodes
        self.exists = self.there | (self.node == 0)
        self.parents = trees.parents.long().clamp(min=0).minimum((self.node - 1).clamp(min=0))
        self.tokens = trees.tokens.long().clamp(0, vocabulary - 1)
        self.under = (self.parents[:, :, None] == self.node) & self.there[:, :, None]  # b child parent
        self.siblings = self.under.double() @ self.under.double().mT > 0  # b m m
        self.inner = self.under.any(1)
        self.p = torch.where(self.exists[..., None], p.double(), 0)
        self.q = torch.where(self.inner[..., None], q.double(), 0)
        place = self.parents * vocabulary + self.tokens
        self.wanted = self.p.flatten(1).gather(1, place)  # b m: the target's probability of each drafted id
        self.drafted = self.q.flatten(1).gather(1, place)
        twin = self.siblings & (self.tokens[:, :, None] == self.tokens[:, None])
        self.repeats = (twin & (self.node < self.node[:, None])).any(-1)  # an earlier sibling has the id
        self.last = self.there & ~(self.siblings & (self.node > self.node[:, None])).any(-1)  # of its siblings

    @property
    def glimpsed(self) -> Bool[Tensor, "b m"]:
        """First children of whose ids both laws are probabilities: these two tell what becomes of them."""
        eldest = self.there & ~(self.siblings & (self.node < self.node[:, None])).any(-1)
        sane = (self.wanted >= 0) & (self.wanted <= 1 + TOLERANCE) & (self.drafted > 0)
        return eldest & sane & (self.drafted <= 1 + TOLERANCE)

    @property
    def runs_ahead(self) -> bool:
        """Whether the host must not wait for a value: then work goes by shape, absent nodes included."""
        return self.node.device.type != "cpu"

    def waves(self, *, by_level: bool = False) -> list[Int[Tensor, " k"]]:
        """All drafted nodes, numbered through the batch: no parent twice in a wave, and siblings in draw order.

        `by_level`: a parent's wave before its children's. Where the device runs ahead of its host, a wave a node.
        """
        if self.runs_ahead:
            return [self.rows * len(self.node) + node for node in range(1, len(self.node))]
        turn = (self.siblings & (self.node < self.node[:, None])).sum(-1)  # b m
        turn = (turn + self.lineage.sum(-1) * len(self.node) if by_level else turn).flatten()
        nodes = self.there.flatten().nonzero()[:, 0]
        order = turn[nodes].argsort(stable=True)
        sizes = torch.bincount(turn[nodes]).tolist()
        return list(torch.split(nodes[order], [size for size in sizes if size]))

    @cached_property
    def lineage(self) -> Bool[Tensor, "b m m"]:
        """Which nodes (last axis) stand on the way from the root to which, both ends counted."""
        return closure(self.under)


def closure(under: Bool[Tensor, "b m m"]) -> Bool[Tensor, "b m m"]:
    """Which nodes (last axis) are above which, or the same."""
    most = under.shape[-1]
    above = under.float() + torch.eye(most, device=under.device)
    for _ in range((most - 1).bit_length()):
        above = (above @ above).clamp_(max=1)  # of whole numbers up to the nodes' number, so exact
    return above > 0


def total(weights: Float[Tensor, "*b v"]) -> Float[Tensor, "*b"]:
    """The sum of weights, taken in integers so that it has no order."""
    return (weights * _POINT).long().sum(-1).double() / _POINT


def shape_faults(trees: Trees, vocabulary: int, chain: bool) -> Int[Tensor, " b"]:
    """The first node at which a tree is none or cannot be judged, as `Verdict.fault` says; `NEVER` if there is none."""
    most = trees.parents.shape[1]
    node = torch.arange(most, device=trees.parents.device)
    exists = node < trees.nodes[:, None]
    parents = trees.parents.long()
    astray = exists & torch.where(node == 0, parents != -1, (parents < 0) | (parents >= node))
    astray[:, 0] |= (trees.nodes < 1) | (trees.nodes > most)
    there = exists & (node > 0) & ~astray
    under = (parents[:, :, None] == node) & there[:, :, None]  # b child parent
    outside = (trees.tokens < 0) | (trees.tokens >= vocabulary)
    wrong = {5: (under & outside[:, :, None]).any(1), 6: astray}
    if chain:
        wrong[7] = under.sum(1) > 1
    return _first(wrong)


def row_faults(forest: Forest, drawn: Bool[Tensor, "b m"] | None) -> Int[Tensor, "b m"]:
    """What is wrong with the rows of each node, as a place in `FAULTS`; 0 where nothing is.

    `drawn` are the nodes that the draft's law had to allow; None if the rule does not look at that law.
    """
    target = torch.where(forest.exists, unsound(forest.p), 0)
    if drawn is None:
        return target
    ruled_out = (forest.under & (drawn & ~(forest.drafted > 0))[:, :, None]).any(1)
    draft = unsound(forest.q)
    draft = torch.where(draft > 0, draft + 2, ruled_out.long() * 5)
    return torch.where((target == 0) & forest.inner, draft, target)


def stray_coins(trees: Trees, accept_coins: Int[Tensor, "b m"], final_coins: Int[Tensor, "b m"]) -> Int[Tensor, " b"]:
    """The first node whose coins are out of range, as `Verdict.fault` says; `NEVER` if there is none."""
    exists = torch.arange(final_coins.shape[1], device=final_coins.device) < trees.nodes[:, None]
    accept, final = accept_coins.long(), final_coins.long()
    wrong = (accept < 0) | (accept >= ACCEPT) | (final < 0) | (final >= FINAL)
    return _first({8: exists & wrong})


NEVER = 2**62
"""Later than any fault."""


def _first(wrong: Mapping[int, Bool[Tensor, "b m"]]) -> Int[Tensor, " b"]:
    """The first node of each row at which something is wrong, and the first reason there."""
    found = torch.stack(tuple(wrong.values()), -1)  # b m r
    codes = torch.arange(found.shape[1], device=found.device)[:, None] * len(FAULTS)
    codes = codes + torch.tensor(tuple(wrong), device=found.device)  # m r
    return torch.where(found, codes, NEVER).flatten(1).amin(-1)
