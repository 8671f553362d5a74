"""Block verification: one chain, of which the longest prefix that its own uniform accepts is kept.

Source: Sun et al. (2025), arXiv:2403.10444.
"""

from __future__ import annotations

from crt_verify.rules import traversal
from crt_verify.rules.plan import Plan
from crt_verify.rules.tree_batch import TreeBatch


def plan(batch: TreeBatch) -> Plan:
    """Along the chain a <- min(1, a p / q); a node accepts with h = Z / (Z + 1 - a), Z the sum of (a p - q)_+.

    The final id is sampled from (a p - q)_+ at the last accepted node.
    """
    return traversal.plan(batch, replacement=True)
