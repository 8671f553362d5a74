"""Plan: a rule's accept test for each node, the order of the tests, and the residual where a walk ends.

With an accept uniform u in [0, 1) for each node n, a rule

    accepts n, when its turn comes, if   u bar_n < gain_n,   so with probability min(1, gain_n / bar_n)
    draws the final id at n from         (rest_n - share_n min(scale_n q_n, p_n))_+,   not normalised

once every child of n is rejected. No number of a plan depends on a uniform. So `ends` computes both the outcome, from
accept tests that are 0 or 1, and the distribution of outcomes, from their probabilities.

Axes: b batch, m nodes (the root counted), v vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from crt_verify.rules.tree_batch import TreeBatch, closure


class Plan(NamedTuple):
    """The numbers of the two formulas above, and the order of the tests."""

    gain: Float[Tensor, "b m"]
    bar: Float[Tensor, "b m"]
    rest: Float[Tensor, "b m v"]
    """The target's row, with 0 for the ids of tested children; for `multi-block` what children leave of it."""
    scale: Float[Tensor, "b m"]
    share: Float[Tensor, "b m"]
    """1 for every rule but `kseq`."""
    turn: Int[Tensor, "b m"]
    """Siblings are tested in increasing order of this; not used by rules that go from the leaves."""
    first: Int[Tensor, "b m"] | None = None
    """The node that each node is merged into: the first on the same path of ids. None: no node is merged."""
    entry: Float[Tensor, "b m"] | None = None
    """For rules that go from the leaves, the chance of a path when a walk enters its node; at 0 the node is skipped."""
    peeked: Bool[Tensor, "b m"] | None = None
    """Nodes that are tested before their parent's rows are read, and spare that reading if accepted. None: no node."""


def planned(
    batch: TreeBatch,
    gain: Float[Tensor, "b m"],
    bar: Float[Tensor, "b m"],
    rest: Float[Tensor, "b m v"],
    **other: Tensor,
) -> Plan:
    """A plan without merged nodes that tests siblings in draw order; `other` replaces fields."""
    ones = torch.ones_like(gain)
    usual = {"scale": torch.zeros_like(gain), "share": ones, "turn": batch.node.expand_as(batch.parents)}
    return Plan(torch.where(batch.there, gain, 0), bar, rest, **(usual | other))


def leftover(plan: Plan, batch: TreeBatch, node: Int[Tensor, " b"]) -> Float[Tensor, "b v"]:
    """The final id's distribution at a node of each row, not normalised; the target's row if nothing is left."""
    p, q = batch.p[batch.rows, node], batch.q[batch.rows, node]
    scale, share = plan.scale[batch.rows, node, None], plan.share[batch.rows, node, None]
    rest = (plan.rest[batch.rows, node] - share * (scale * q).minimum(p)).clamp(min=0)
    some = (rest * 2.0**60 >= 1).any(-1, keepdim=True)  # the resolution of `crt_run.sampling.pick`
    return torch.where(some, rest, p)


def stopped(
    plan: Plan, batch: TreeBatch, accepted: Bool[Tensor, "b m"], faulty: Bool[Tensor, "b m"]
) -> Bool[Tensor, "b m"]:
    """`accepted`, changed so that each walk ends at the first node with a faulty row that it reads.

    Nothing under such a node is accepted, except under a peeked child. The rows of a childless node are read if a walk
    ends there.
    """
    above = batch.parents if plan.first is None else plan.first.gather(1, batch.parents)
    peeked = torch.zeros_like(accepted) if plan.peeked is None else plan.peeked
    if plan.entry is None:
        unread = (batch.under & (accepted & peeked)[:, :, None]).any(1)
        return accepted & ~(batch.there & (faulty & ~unread).gather(1, above))
    beyond = batch.there & faulty.gather(1, above) & ~peeked
    beyond = (batch.lineage & beyond[:, None]).any(-1)
    return torch.where(faulty & batch.inner, plan.entry > 0, accepted) & ~beyond


def ends(plan: Plan, batch: TreeBatch, accepted: Float[Tensor, "b m"], leaves_first: bool) -> Float[Tensor, "b m"]:
    """The probability that a walk ends at each node, from each node's probability of acceptance."""
    return _upward(batch, accepted) if leaves_first else _downward(plan, batch, accepted)


def _downward(plan: Plan, batch: TreeBatch, accepted: Float[Tensor, "b m"]) -> Float[Tensor, "b m"]:
    """From the root: descends into the first accepted child, until no child is accepted."""
    under, siblings, lineage = batch.under, batch.siblings, batch.lineage
    if plan.first is not None:
        above = plan.first.gather(1, batch.parents)
        under = (above[:, :, None] == batch.node) & batch.there[:, :, None]  # b child parent
        siblings = under.double() @ under.double().mT > 0
        lineage = closure(under)
    earlier = siblings & (plan.turn[:, None] < plan.turn[:, :, None])
    missed = 1 - accepted
    entered = accepted * torch.where(earlier, missed[:, None], 1).prod(-1)  # b m, once its parent is reached
    stays = torch.where(under, missed[:, :, None], 1).prod(1)
    if plan.first is not None:
        same = (plan.first[:, None] == batch.node[:, None]) & batch.there[:, None]  # b first member
        entered = torch.where(same, entered[:, None], 0).sum(-1)
    entered = torch.where(batch.node == 0, 1, entered)
    reached = torch.where(lineage, entered[:, None], 1).prod(-1)
    stands = batch.exists if plan.first is None else batch.exists & (plan.first == batch.node)
    return torch.where(stands, reached * stays, 0)


def _upward(batch: TreeBatch, accepted: Float[Tensor, "b m"]) -> Float[Tensor, "b m"]:
    """From the first leaf, each node after its descendants: ends at the first accepted node; the root always is."""
    lineage = batch.lineage
    lines = lineage.double()
    elder = (batch.siblings & (batch.node < batch.node[:, None])).double()
    below = lineage.mT & (batch.node != batch.node[:, None])
    earlier = ((lines @ elder @ lines.mT > 0) | below) & batch.there[:, None]
    chances = torch.where(batch.node == 0, 1, torch.where(batch.there, accepted, 0))
    return chances * torch.where(earlier, 1 - chances[:, None], 1).prod(-1)
