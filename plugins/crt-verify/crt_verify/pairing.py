"""Which rule may judge which drafter's trees; free of torch until a rule is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crt_verify.drafters import Beam, Branching, Chain, Drafter, GreedyTop, Paths

if TYPE_CHECKING:
    from crt_verify.rules import Rule

EXACT: dict[str, tuple[type[Drafter], ...]] = {
    "single": (Chain,),
    "block": (Chain,),
    "multiround": (Chain, Paths),
    "kseq": (Chain, Paths),
    "recursive": (Chain, Branching, Beam),
    "traversal": (Chain, Paths, Branching),
    "greedy": (Chain, GreedyTop),
    "target-only": (Chain, Paths, Branching, Beam, GreedyTop),
}
"""The drafters whose draws each rule takes for what they are."""

_WANTED = {
    "single": "chains",
    "block": "chains",
    "multiround": "siblings drawn with replacement",
    "kseq": "siblings drawn with replacement",
    "recursive": "siblings drawn without replacement, in draw order",
    "traversal": "shapes that do not depend on what is drawn: how many children a beam keeps of an early node is "
    "influenced by later siblings",
    "greedy": "the most likely ids and one drawn off them",
}


def paired(drafter: Drafter, name: str) -> Rule:
    """The rule called `name`, if it judges the drafter's trees without bending the target's law.

    Raises: ValueError saying why the two do not go together.
    """
    from crt_verify.rules import rule

    return rule(name, **keywords(drafter, name))


def keywords(drafter: Drafter, name: str) -> dict[str, bool]:
    """What the rule called `name` is told of how the drafter draws.

    Raises: ValueError saying why the two do not go together.
    """
    if name in EXACT and not isinstance(drafter, EXACT[name]):
        raise ValueError(f"expected {_WANTED[name]} for {name!r}, got {drafter}")
    return {"replacement": not isinstance(drafter, Branching)} if name == "traversal" else {}
