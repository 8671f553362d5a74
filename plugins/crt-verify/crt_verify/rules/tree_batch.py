"""TreeBatch: a padded batch of trees with their rows, as rules read it, and the faults it can have.

Axes: b batch, m nodes (the root counted), v vocabulary. Row n of p and q is the distribution of the id after node n.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from crt_verify.tree import Trees
from crt_verify.verdict import TOLERANCE, Fault, distribution_faults

ACCEPT, FINAL = 2**24, 2**32
"""Accept and final uniforms are integers from 0 up to these."""
_POINT = 2.0**60  # the resolution of `crt_run.sampling.pick`


class TreeBatch:
    """Trees and their rows in float64; rows of absent nodes, and the draft's row of a childless node, are 0."""

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
        self.p_token = self.p.flatten(1).gather(1, place)  # b m: the target's probability of its id
        self.q_token = self.q.flatten(1).gather(1, place)
        twin = self.siblings & (self.tokens[:, :, None] == self.tokens[:, None])
        self.repeats = (twin & (self.node < self.node[:, None])).any(-1)  # an earlier sibling has the id
        self.last = self.there & ~(self.siblings & (self.node > self.node[:, None])).any(-1)  # of its siblings

    @property
    def peeked(self) -> Bool[Tensor, "b m"]:
        """First children whose id has a valid probability under p and q: they are tested by these two alone."""
        eldest = self.there & ~(self.siblings & (self.node < self.node[:, None])).any(-1)
        valid = (self.p_token >= 0) & (self.p_token <= 1 + TOLERANCE) & (self.q_token > 0)
        return eldest & valid & (self.q_token <= 1 + TOLERANCE)

    @property
    def runs_ahead(self) -> bool:
        """Whether the host must not wait for values: then all nodes are computed, absent ones too."""
        return self.node.device.type != "cpu"

    def waves(self, *, by_level: bool = False) -> list[Int[Tensor, " k"]]:
        """All drafted nodes, numbered through the batch, in waves with at most one child of a parent, in draw order.

        With `by_level` a parent comes in an earlier wave than its children. On a device that runs ahead of its host,
        each node of the trees has its own wave.
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
        """Whether each node (last axis) is on the path from the root to another, both ends counted."""
        return closure(self.under)


def closure(under: Bool[Tensor, "b m m"]) -> Bool[Tensor, "b m m"]:
    """Whether each node (last axis) is above another, or the same."""
    most = under.shape[-1]
    above = under.float() + torch.eye(most, device=under.device)
    for _ in range((most - 1).bit_length()):
        above = (above @ above).clamp_(max=1)  # sums of at most `most` ones, so exact
    return above > 0


def total(weights: Float[Tensor, "*b v"]) -> Float[Tensor, "*b"]:
    """The sum of weights, in integers, so that the order of summation does not matter."""
    return (weights * _POINT).long().sum(-1).double() / _POINT


NEVER = 2**62
"""A code larger than that of any fault."""


def shape_faults(trees: Trees, vocabulary: int, chain: bool) -> Int[Tensor, " b"]:
    """The code, as in `Verdict.fault`, of the first node whose shape or id is wrong; `NEVER` if there is none."""
    most = trees.parents.shape[1]
    node = torch.arange(most, device=trees.parents.device)
    exists = node < trees.nodes[:, None]
    parents = trees.parents.long()
    astray = exists & torch.where(node == 0, parents != -1, (parents < 0) | (parents >= node))
    astray[:, 0] |= (trees.nodes < 1) | (trees.nodes > most)
    there = exists & (node > 0) & ~astray
    under = (parents[:, :, None] == node) & there[:, :, None]  # b child parent
    outside = (trees.tokens < 0) | (trees.tokens >= vocabulary)
    wrong = {Fault.RULED_OUT: (under & outside[:, :, None]).any(1), Fault.NOT_A_TREE: astray}
    if chain:
        wrong[Fault.NOT_A_CHAIN] = under.sum(1) > 1
    return _first(wrong)


def row_faults(batch: TreeBatch, drafted: Bool[Tensor, "b m"] | None) -> Int[Tensor, "b m"]:
    """The `Fault` of the rows of each node, 0 if they are distributions.

    `drafted` are the nodes whose ids must be possible under q; None if the rule does not read q.
    """
    target = torch.where(batch.exists, distribution_faults(batch.p), 0)
    if drafted is None:
        return target
    ruled_out = (batch.under & (drafted & ~(batch.q_token > 0))[:, :, None]).any(1)
    draft = distribution_faults(batch.q)
    offset = int(Fault.DRAFT_ENTRY - Fault.TARGET_ENTRY)
    draft = torch.where(draft > 0, draft + offset, ruled_out.long() * int(Fault.RULED_OUT))
    return torch.where((target == 0) & batch.inner, draft, target)


def uniform_faults(
    trees: Trees, accept_uniforms: Int[Tensor, "b m"], final_uniforms: Int[Tensor, "b m"]
) -> Int[Tensor, " b"]:
    """The code, as in `Verdict.fault`, of the first node with a uniform out of range; `NEVER` if there is none."""
    exists = torch.arange(final_uniforms.shape[1], device=final_uniforms.device) < trees.nodes[:, None]
    accept, final = accept_uniforms.long(), final_uniforms.long()
    wrong = (accept < 0) | (accept >= ACCEPT) | (final < 0) | (final >= FINAL)
    return _first({Fault.UNIFORM_RANGE: exists & wrong})


def _first(wrong: Mapping[Fault, Bool[Tensor, "b m"]]) -> Int[Tensor, " b"]:
    """The code of the first fault at the first faulty node of each row."""
    faults = torch.stack(tuple(wrong.values()), -1)  # b m r
    codes = torch.arange(faults.shape[1], device=faults.device)[:, None] * len(Fault)
    codes = codes + torch.tensor([int(fault) for fault in wrong], device=faults.device)  # m r
    return torch.where(faults, codes, NEVER).flatten(1).amin(-1)
