"""One chain, id by id.

Source: Leviathan et al. (2023), arXiv:2211.17192, algorithm 1.
"""

from __future__ import annotations

from crt_verify.rules import recursive
from crt_verify.rules.forest import Forest
from crt_verify.rules.plan import Plan


def plan(forest: Forest) -> Plan:
    """Accepts with min(1, p / q); a rejection leaves (p - q)_+. An only child is both kinds of sibling at once."""
    return recursive.plan(forest)
