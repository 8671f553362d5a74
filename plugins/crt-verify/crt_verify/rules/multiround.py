"""Siblings drawn independently from one law, each tried against what the rejections before it left.

Source: Miao et al. (2023), arXiv:2305.09781, multi-step speculative sampling.
"""

from __future__ import annotations

from crt_verify.rules import recursive
from crt_verify.rules.forest import Forest
from crt_verify.rules.plan import Plan


def plan(forest: Forest) -> Plan:
    """Accepts with min(1, r / q), r what is left of p; a rejection leaves (r - q)_+, whether the id is new or not."""
    return recursive.plan(forest, replacement=True)
