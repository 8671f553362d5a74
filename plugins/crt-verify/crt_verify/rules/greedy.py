"""Children that are the draft's most likely ids, and last one sampled from the rest of its distribution.

Source: Hu et al. (2025), arXiv:2502.18779, greedy draft sampling.
"""

from __future__ import annotations

import torch

from crt_verify.rules.deterministic import accept_tests, mass, without
from crt_verify.rules.plan import Plan, planned
from crt_verify.rules.tree_batch import TreeBatch, total


def plan(batch: TreeBatch) -> Plan:
    """Accepts the sampled id with min(1, p / q'), where q' is q off the likely ids, normalised.

    If it is rejected, an id is drawn in proportion to p on the likely ids and (p - q')_+ elsewhere.
    """
    likely = batch.there & ~batch.last
    off = without(batch.q, batch, likely)  # b m v
    sampled = batch.under & batch.last[:, :, None]
    x = torch.where(batch.last, off.flatten(1).gather(1, batch.parents * off.shape[-1] + batch.tokens), 0)
    left = total(off).maximum(torch.where(sampled, x[:, :, None], 0).sum(1))
    scale = torch.where(left > 0, 1 / torch.where(left > 0, left, 1), 0)
    rest = without(batch.p, batch, batch.there)
    gain, bar = accept_tests(batch, likely, mass(batch, rest, scale))
    above = left.gather(1, batch.parents)
    gain = torch.where(batch.last, torch.where(x > 0, batch.p_token * above, 0), gain)
    bar = torch.where(batch.last, x, bar)
    turn = torch.where(batch.last, -1, batch.node)
    return planned(batch, gain, bar, rest, scale=scale, turn=turn)
