"""Block verification of independent paths: leaves first, the children of a node with the one scale of `kseq`.

A node that is entered with the chance a has a p to hand out. With its K children and the scale rho in [1, K],

    entry     = min(1, a p(x) / (rho q(x)))                  of a child with the id x
    beta(rho) = sum over x of min(q(x), a p(x) / rho)        the acceptance of one child's path
    A         = 1 - (1 - beta)^K                             the acceptance of any of them
    residual  = a p - min(q, a p / rho) A / beta             what is left for the node itself, a - A in all

A child's path is accepted with its entry chance, wherever it ends, so the children together emit min(q, a p / rho) A /
beta. The node is reached by none of them with 1 - A, and accepted then with (a - A) / (1 - A): in all it emits a p. The
residual is not negative where rho beta >= A, which is `kseq`'s condition, with a p in place of p.

One child each has rho = 1, and is block verification. From any number of paths no less is accepted than by block
verification of one: what a chain accepts is a concave function f of its entry chance with f(0) = 0, and at the root
A / beta f(min(1, p / (rho q))) = rho f(min(1, p / (rho q))) >= f(min(1, p / q)).
Source: this package; from Sun et al. (2023), arXiv:2310.15141, for the scale, Sun et al. (2025), arXiv:2403.10444, for
chains, and Weng et al. (2025), arXiv:2505.12398, for the order. Other ways to verify independent paths by blocks are
Thomas and Pal (2026), arXiv:2602.16961, and Lin et al. (2026), arXiv:2604.25925.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_verify.rules import kseq
from crt_verify.rules.plan import Plan, planned
from crt_verify.rules.tree_batch import TreeBatch, total


def plan(batch: TreeBatch) -> Plan:
    """A node is entered with min(1, a p / (rho q)), and accepted with Z / (Z + 1 - a), Z the sum of its residual."""
    chance = (batch.node == 0).expand_as(batch.exists).double()  # b m
    entry, rho, rest = chance.clone(), torch.ones_like(chance), batch.p.clone()
    above = (batch.rows[:, None] * len(batch.node) + batch.parents).flatten()  # b*m
    drafts = batch.under.sum(1).flatten()
    p, q = batch.p.flatten(0, 1), batch.q.flatten(0, 1)  # b*m v
    p_token, q_token, flat = batch.p_token.flatten(), batch.q_token.flatten(), rest.flatten(0, 1)
    chances, entries, scales = chance.view(-1), entry.view(-1), rho.view(-1)
    for nodes in _levels(batch):
        at = above[nodes]
        share, bar = entries[at] * p_token[nodes], scales[at] * q_token[nodes]
        entered = torch.where(share < bar, share / torch.where(bar > 0, bar, 1), (share > 0).double())
        entered = torch.where(nodes % len(batch.node) == 0, 1, entered)
        chances[nodes] = entries[nodes] = entered
        inner = nodes if batch.runs_ahead else nodes[drafts[nodes] > 0]
        a = entries[inner]
        target = a[:, None] * p[inner]
        scale, sums = _scale(batch, target, q[inner], drafts[inner])
        left = (target - (sums / scale)[:, None] * (scale[:, None] * q[inner]).minimum(target)).clamp(min=0)
        z = total(left)
        some = drafts[inner] > 0
        accepted = torch.where(z + 1 - a > 0, z / (z + 1 - a), 1)
        scales[inner] = torch.where(some, scale, 1)
        chances[inner] = torch.where(some, accepted, a)
        flat[inner] = torch.where(some[:, None], left, p[inner])
    alone = (batch.siblings.sum(-1) == 1) & batch.peeked
    return planned(batch, chance, torch.ones_like(chance), rest, entry=entry, peeked=alone)


def _scale(
    batch: TreeBatch, target: Float[Tensor, "k v"], q: Float[Tensor, "k v"], drafts: Int[Tensor, " k"]
) -> tuple[Float[Tensor, " k"], Float[Tensor, " k"]]:
    """Rho and A / beta; of one draft both are 1."""
    scale, sums = torch.ones_like(drafts, dtype=torch.float64), (drafts > 0).double()
    many = torch.arange(len(drafts), device=drafts.device) if batch.runs_ahead else (drafts > 1).nonzero()[:, 0]
    scale[many], sums[many] = kseq.scale(target[many], q[many], drafts[many], len(batch.node) - 1)
    return scale, sums


def _levels(batch: TreeBatch) -> list[Int[Tensor, " k"]]:
    """All nodes, numbered through the batch, parents in an earlier wave than their children.

    On a device that runs ahead of its host, each node of the trees has its own wave.
    """
    if batch.runs_ahead:
        return [batch.rows * len(batch.node) + node for node in range(len(batch.node))]
    nodes = batch.exists.flatten().nonzero()[:, 0]
    depth = batch.lineage.sum(-1).flatten()[nodes]
    return list(torch.split(nodes[depth.argsort(stable=True)], [n for n in torch.bincount(depth).tolist() if n]))
