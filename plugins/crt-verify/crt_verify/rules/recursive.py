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
    for node in range(1, len(forest.node)):
        met = residual.meet(node)
        gain[:, node], bar[:, node] = met.rest * met.left, met.drafted * met.mass
        residual.reject(node, met.mass / met.left)
    return planned(forest, gain, bar, residual.rest, scale=residual.scale)
