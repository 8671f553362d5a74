"""What a rule makes of a forest: a test for each node, their order, and what is left to draw where a walk ends.

Nothing in a plan depends on a coin: what a node does after a rejection is settled before the first coin falls. So the
law and the outcome are one computation, `ends`, over chances or over zeros and ones.

Axes: b batch, m nodes (the root counted), v vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from crt_verify.rules.forest import Forest, closure


class Plan(NamedTuple):
    """Node n, once its turn comes, is accepted if coin * bar < gain; where all is rejected, see `leftover`."""

    gain: Float[Tensor, "b m"]
    bar: Float[Tensor, "b m"]
    rest: Float[Tensor, "b m v"]
    """The target's law off the ids that were tried under a node."""
    scale: Float[Tensor, "b m"]
    """How much of the draft's law is taken off it."""
    share: Float[Tensor, "b m"]
    """By which part of the overlap that is done; 1 but for `kseq`."""
    turn: Int[Tensor, "b m"]
    """Siblings are tried by turn; of no use where leaves are tried first."""
    first: Int[Tensor, "b m"] | None = None
    """The node that stands for each node: the first of those with the same ids before and at them; None: itself."""
    entry: Float[Tensor, "b m"] | None = None
    """The chance of a path as a walk enters its node, where leaves are tried first; a node of chance 0 is skipped."""
    glimpsed: Bool[Tensor, "b m"] | None = None
    """Nodes that are tried before their parent's rows are read, which are not if these are accepted; None: none are."""


def planned(
    forest: Forest, gain: Float[Tensor, "b m"], bar: Float[Tensor, "b m"], rest: Float[Tensor, "b m v"], **other: Tensor
) -> Plan:
    """A plan whose nodes stand for themselves and are tried in draw order, but for what `other` says."""
    ones = torch.ones_like(gain)
    usual = {"scale": torch.zeros_like(gain), "share": ones, "turn": forest.node.expand_as(forest.parents)}
    return Plan(torch.where(forest.there, gain, 0), bar, rest, **(usual | other))


def leftover(plan: Plan, forest: Forest, node: Int[Tensor, " b"]) -> Float[Tensor, "b v"]:
    """What remains to be drawn at a node of each row, or the target's law if nothing does; not normalised."""
    p, q = forest.p[forest.rows, node], forest.q[forest.rows, node]
    scale, share = plan.scale[forest.rows, node, None], plan.share[forest.rows, node, None]
    rest = (plan.rest[forest.rows, node] - share * (scale * q).minimum(p)).clamp(min=0)
    some = (rest * 2.0**60 >= 1).any(-1, keepdim=True)  # the resolution of `crtcore.pick`
    return torch.where(some, rest, p)


def stopped(
    plan: Plan, forest: Forest, accepted: Bool[Tensor, "b m"], faulty: Bool[Tensor, "b m"]
) -> Bool[Tensor, "b m"]:
    """`accepted` for walks that end at the first node with a faulty row that they read.

    Nothing under such a node is accepted, but for what is under a child that was glimpsed. Rows of a childless node are
    read where a walk ends.
    """
    above = forest.parents if plan.first is None else plan.first.gather(1, forest.parents)
    glimpsed = torch.zeros_like(accepted) if plan.glimpsed is None else plan.glimpsed
    if plan.entry is None:
        unread = (forest.under & (accepted & glimpsed)[:, :, None]).any(1)
        return accepted & ~(forest.there & (faulty & ~unread).gather(1, above))
    beyond = forest.there & faulty.gather(1, above) & ~glimpsed
    beyond = (forest.lineage & beyond[:, None]).any(-1)
    return torch.where(faulty & forest.inner, plan.entry > 0, accepted) & ~beyond


def ends(plan: Plan, forest: Forest, accepted: Float[Tensor, "b m"], leaves_first: bool) -> Float[Tensor, "b m"]:
    """How often a walk ends at each node, if each accepts as often as `accepted` says; 0 or 1 for coins that fell."""
    return _upward(forest, accepted) if leaves_first else _downward(plan, forest, accepted)


def _downward(plan: Plan, forest: Forest, accepted: Float[Tensor, "b m"]) -> Float[Tensor, "b m"]:
    """From the root: the first accepted child in turn, and on under it, until no child is."""
    under, siblings, lineage = forest.under, forest.siblings, forest.lineage
    if plan.first is not None:
        above = plan.first.gather(1, forest.parents)
        under = (above[:, :, None] == forest.node) & forest.there[:, :, None]  # b child parent
        siblings = under.double() @ under.double().mT > 0
        lineage = closure(under)
    earlier = siblings & (plan.turn[:, None] < plan.turn[:, :, None])
    missed = 1 - accepted
    entered = accepted * torch.where(earlier, missed[:, None], 1).prod(-1)  # b m, once its parent is reached
    stays = torch.where(under, missed[:, :, None], 1).prod(1)
    if plan.first is not None:
        same = (plan.first[:, None] == forest.node[:, None]) & forest.there[:, None]  # b first member
        entered = torch.where(same, entered[:, None], 0).sum(-1)
    entered = torch.where(forest.node == 0, 1, entered)
    reached = torch.where(lineage, entered[:, None], 1).prod(-1)
    stands = forest.exists if plan.first is None else forest.exists & (plan.first == forest.node)
    return torch.where(stands, reached * stays, 0)


def _upward(forest: Forest, accepted: Float[Tensor, "b m"]) -> Float[Tensor, "b m"]:
    """From the first leaf, each node after all that is under it: the first that is accepted; the root always is."""
    lineage = forest.lineage
    lines = lineage.double()
    elder = (forest.siblings & (forest.node < forest.node[:, None])).double()
    below = lineage.mT & (forest.node != forest.node[:, None])
    earlier = ((lines @ elder @ lines.mT > 0) | below) & forest.there[:, None]
    chances = torch.where(forest.node == 0, 1, torch.where(forest.there, accepted, 0))
    return chances * torch.where(earlier, 1 - chances[:, None], 1).prod(-1)
