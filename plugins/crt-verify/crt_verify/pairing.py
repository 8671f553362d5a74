"""Which rule verifies which drafter's trees exactly; imports torch only to return a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crt_verify.drafters import Beam, Branching, Chain, Drafter, GreedyTop, Likeliest, Paths

if TYPE_CHECKING:
    from crt_verify.rules import Rule

EXACT: dict[str, tuple[type[Drafter], ...]] = {
    "single": (Chain,),
    "block": (Chain,),
    "multiround": (Chain, Paths),
    "kseq": (Chain, Paths),
    "multi-block": (Chain, Paths),
    "recursive": (Chain, Branching, Beam),
    "traversal": (Chain, Paths, Branching),
    "greedy": (Chain, GreedyTop),
    "target-only": (Chain, Paths, Branching, Beam, GreedyTop, Likeliest),
}
"""The drafters whose trees each rule verifies exactly."""

_EXPECTED = {
    "single": "chains",
    "block": "chains",
    "multiround": "siblings drawn with replacement",
    "kseq": "siblings drawn with replacement",
    "multi-block": "siblings drawn with replacement",
    "recursive": "siblings drawn without replacement, in draw order",
    "traversal": "trees whose shape does not depend on the sampled ids: how many children a beam keeps of an early "
    "node is influenced by later siblings",
    "greedy": "the most likely ids and one drawn off them",
}


def paired(drafter: Drafter, name: str) -> Rule:
    """The rule called `name`, if it keeps the target's distribution on the drafter's trees.

    Raises: ValueError with the reason if the two do not fit.
    """
    from crt_verify.rules import rule

    return rule(name, **keywords(drafter, name))


def keywords(drafter: Drafter, name: str) -> dict[str, bool]:
    """The keywords that describe the drafter's sampling to the rule called `name`.

    Raises: ValueError with the reason if the two do not fit.
    """
    if name in EXACT and not isinstance(drafter, EXACT[name]):
        raise ValueError(f"expected {_EXPECTED[name]} for {name!r}, got {drafter}")
    return {"replacement": not isinstance(drafter, Branching)} if name == "traversal" else {}
