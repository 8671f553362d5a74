"""Children chosen deterministically: an id is drawn from the target, and the walk descends if it is a child.

The draft's distribution is not read. This is the rule for EAGLE-2's trees.
Source: Li et al. (2024), arXiv:2406.16858.
"""

from __future__ import annotations

import torch

from crt_verify.rules.deterministic import accept_tests, mass, without
from crt_verify.rules.plan import Plan, planned
from crt_verify.rules.tree_batch import TreeBatch


def plan(batch: TreeBatch) -> Plan:
    """Accepts a child with p(x) over the mass of p that is not yet tried; the rest is p off the children."""
    rest = without(batch.p, batch, batch.there)
    scale = torch.zeros_like(batch.p_token)
    gain, bar = accept_tests(batch, batch.there, mass(batch, rest, scale))
    return planned(batch, gain, bar, rest)
