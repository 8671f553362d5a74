"""One chain, verified id by id.

Source: Leviathan et al. (2023), arXiv:2211.17192, algorithm 1.
"""

from __future__ import annotations

from crt_verify.rules import recursive
from crt_verify.rules.plan import Plan
from crt_verify.rules.tree_batch import TreeBatch


def plan(batch: TreeBatch) -> Plan:
    """Accepts with min(1, p / q); a rejection leaves (p - q)_+. This is `recursive` with one child each."""
    return recursive.plan(batch)
