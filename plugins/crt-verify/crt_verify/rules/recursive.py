"""Siblings drawn without replacement, each tested against the residual of the rejections before it.

Source: Jeon et al. (2024), arXiv:2402.14160.
"""

from __future__ import annotations

import torch

from crt_verify.rules.plan import Plan, planned
from crt_verify.rules.residual import Residual
from crt_verify.rules.tree_batch import TreeBatch


def plan(batch: TreeBatch, *, replacement: bool = False) -> Plan:
    """Accepts with min(1, r / q'), r the residual of p and q' the rest of q; a rejection leaves (r - q')_+."""
    residual = Residual(batch, replacement=replacement)
    gain, bar = torch.zeros_like(batch.p_token), torch.ones_like(batch.p_token)
    for nodes in batch.waves():
        turn = residual.turn(nodes)
        gain.view(-1)[nodes], bar.view(-1)[nodes] = turn.rest * turn.left, turn.q_token * turn.mass
        residual.reject(nodes, turn.mass / turn.left)
    return planned(
        batch, gain, bar, residual.rest.view_as(batch.p), scale=residual.scale.view_as(gain), peeked=batch.peeked
    )
