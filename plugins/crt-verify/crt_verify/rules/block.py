"""One chain, judged as a whole: the longest start that its own coin accepts.

Source: Sun et al. (2025), arXiv:2403.10444.
"""

from __future__ import annotations

from crt_verify.rules import traversal
from crt_verify.rules.forest import Forest
from crt_verify.rules.plan import Plan


def plan(forest: Forest) -> Plan:
    """A = min(1, a p / q) along the chain; h = Z / (Z + 1 - a), Z the sum of (a p - q)_+; a rejection leaves that."""
    return traversal.plan(forest, replacement=True)
