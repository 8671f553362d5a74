"""Leaves first: a path is judged as a whole, and what is rejected leaves its chance to its parent.

Source: Weng et al. (2025), arXiv:2505.12398.
"""

from __future__ import annotations

import torch

from crt_verify.rules.forest import Forest
from crt_verify.rules.plan import Plan, planned
from crt_verify.rules.residual import Residual


def plan(forest: Forest, *, replacement: bool) -> Plan:
    """A node enters with chance min(1, a r / q') of its parent's a; each rejected child brings its own a down."""
    residual = Residual(forest, replacement=replacement)
    chance = (forest.node == 0).expand_as(forest.exists).double()  # b m
    for node in range(1, len(forest.node)):
        parent, there = forest.parents[:, node], forest.there[:, node]
        met, a = residual.meet(node), chance[forest.rows, parent]
        bar = met.mass * met.drafted
        share = a * met.rest * met.left
        entered = torch.where(share < bar, share / torch.where(bar > 0, bar, 1), (share > 0).double())
        step = torch.where(a > 0, met.mass / (a * met.left), 0)
        opened = residual.open[forest.rows, parent]
        kept = a * residual.reject(node, step) / met.mass
        after = torch.where(kept + 1 - a > 0, kept / (kept + 1 - a), 1)
        chance[:, node] = entered
        chance[forest.rows, parent] = torch.where(there & opened & (a > 0), after, a)
    return planned(forest, chance, torch.ones_like(chance), residual.rest, scale=residual.scale)
