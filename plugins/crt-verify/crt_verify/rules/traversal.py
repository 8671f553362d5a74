"""Traversal verification: leaves first. A path is accepted as a whole, and a rejection passes its weight to its parent.

Source: Weng et al. (2025), arXiv:2505.12398.
"""

from __future__ import annotations

import torch

from crt_verify.rules.plan import Plan, planned
from crt_verify.rules.residual import Residual
from crt_verify.rules.tree_batch import TreeBatch


def plan(batch: TreeBatch, *, replacement: bool) -> Plan:
    """The chance of a path from its parent's a; r is the residual of p at the parent, q' the rest of q.

    A node is entered with min(1, a r(x) / q'(x)). With Z the sum of (a r - q')_+, a rejected child leaves its parent
    a <- Z / (Z + 1 - a) and r <- (a r - q')_+ / Z. A node is accepted with the a that its children's rejections leave.
    """
    residual = Residual(batch, replacement=replacement)
    chance = (batch.node == 0).expand_as(batch.exists).double()  # b m
    entry = chance.clone()
    chances, entries = chance.view(-1), entry.view(-1)
    for nodes in batch.waves(by_level=True):
        at, turn = residual.parents[nodes], residual.turn(nodes)
        a, opened = chances[at], residual.open[at]
        bar, share = turn.mass * turn.q_token, chances[at] * turn.rest * turn.left
        entries[nodes] = torch.where(share < bar, share / torch.where(bar > 0, bar, 1), (share > 0).double())
        chances[nodes] = entries[nodes]
        step = torch.where(a > 0, turn.mass / (a * turn.left), 0)
        kept = a * residual.reject(nodes, step) / turn.mass
        after = torch.where(kept + 1 - a > 0, kept / (kept + 1 - a), 1)
        chances[at] = torch.where(residual.there[nodes] & opened & (a > 0), after, a)
    rest, scale = residual.rest.view_as(batch.p), residual.scale.view_as(chance)
    return planned(batch, chance, torch.ones_like(chance), rest, scale=scale, entry=entry, peeked=batch.peeked)
