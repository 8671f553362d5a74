"""Independent siblings, each tested against the residual of the rejections before it.

Source: Miao et al. (2023), arXiv:2305.09781, multi-step speculative sampling.
"""

from __future__ import annotations

from crt_verify.rules import recursive
from crt_verify.rules.plan import Plan
from crt_verify.rules.tree_batch import TreeBatch


def plan(batch: TreeBatch) -> Plan:
    """Accepts with min(1, r / q), r the residual of p; a rejection leaves (r - q)_+, whether the id is new or not."""
    return recursive.plan(batch, replacement=True)
