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
    entry = chance.clone()
    chances, entries = chance.view(-1), entry.view(-1)
    for nodes in forest.waves(by_level=True):
        at, met = residual.parents[nodes], residual.meet(nodes)
        a, opened = chances[at], residual.open[at]
        bar, share = met.mass * met.drafted, chances[at] * met.rest * met.left
        entries[nodes] = torch.where(share < bar, share / torch.where(bar > 0, bar, 1), (share > 0).double())
        chances[nodes] = entries[nodes]
        step = torch.where(a > 0, met.mass / (a * met.left), 0)
        kept = a * residual.reject(nodes, step) / met.mass
        after = torch.where(kept + 1 - a > 0, kept / (kept + 1 - a), 1)
        chances[at] = torch.where(residual.there[nodes] & opened & (a > 0), after, a)
    rest, scale = residual.rest.view_as(forest.p), residual.scale.view_as(chance)
    return planned(forest, chance, torch.ones_like(chance), rest, scale=scale, entry=entry, glimpsed=forest.glimpsed)
