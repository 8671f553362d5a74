"""The verification rules by name, one a file: each keeps the target's distribution exactly."""

from __future__ import annotations

from functools import partial
from typing import Any

from crt_verify.rules import block, greedy, kseq, multi_block, multiround, recursive, single, target_only, traversal
from crt_verify.rules.base import Rule

__all__ = ["NAMES", "Rule", "rule"]

_RULES = {
    "single": Rule(plan=single.plan, chain=True),
    "multiround": Rule(plan=multiround.plan),
    "recursive": Rule(plan=recursive.plan),
    "kseq": Rule(plan=kseq.plan),
    "block": Rule(plan=block.plan, chain=True, leaves_first=True),
    "multi-block": Rule(plan=multi_block.plan, leaves_first=True),
    "greedy": Rule(plan=greedy.plan, reads="last"),
    "target-only": Rule(plan=target_only.plan, reads="none"),
}
NAMES = (*_RULES, "traversal")
"""The names that `rule` accepts."""


def rule(name: str, **keywords: Any) -> Rule:
    """A rule by its name; `traversal` takes `replacement`, which says whether siblings were drawn with replacement.

    Raises: ValueError if there is no such rule, or if it takes other keywords.
    """
    if name not in NAMES:
        raise ValueError(f"expected one of {', '.join(NAMES)}, got {name!r}")
    if name in _RULES:
        if keywords:
            raise ValueError(f"expected no keywords for {name!r}, got {', '.join(keywords)}")
        return _RULES[name]
    if set(keywords) != {"replacement"} or not isinstance(keywords["replacement"], bool):
        raise ValueError(f"expected replacement=True or replacement=False for {name!r}, got {keywords}")
    return Rule(plan=partial(traversal.plan, **keywords), leaves_first=True)
