"""Siblings drawn without replacement, each tried against what the rejections before it left.

Source: Jeon et al. (2024), arXiv:2402.14160.
"""

from __future__ import annotations

import torch

from crt_verify.rules.forest import Forest
from crt_verify.rules.plan import Plan, planned
from crt_verify.rules.residual import Residual


def plan(forest: Forest, *, replacement: bool = False) -> Plan:
    """Accepts with min(1, r / q'), r what is left of p and q' what is left of q; a rejection leaves (r - q')_+."""
    residual = Residual(forest, replacement=replacement)
    gain, bar = torch.zeros_like(forest.wanted), torch.ones_like(forest.wanted)
    for nodes in forest.waves():
        met = residual.meet(nodes)
        gain.view(-1)[nodes], bar.view(-1)[nodes] = met.rest * met.left, met.drafted * met.mass
        residual.reject(nodes, met.mass / met.left)
    return planned(
        forest, gain, bar, residual.rest.view_as(forest.p), scale=residual.scale.view_as(gain), glimpsed=forest.glimpsed
    )
