"""What a verifier returns, and the faults it can name.

Axes: b batch, m nodes (the root counted), v vocabulary, k accepted nodes. Node 0 is the root: the last emitted id.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

TOLERANCE = 1e-3
"""How far from 1 a row may sum: far over float32's rounding, far under what an unprocessed row misses."""
_STEPS = 2.0**40
"""What an entry of 1 adds to that sum: with entries cut to 2, rows of four million of them stay below 2**63."""

FAULTS = (
    "nothing is wrong",
    "the target's law has a NaN, infinite or negative entry",
    "the target's law does not sum to 1",
    "the draft's law has a NaN, infinite or negative entry",
    "the draft's law does not sum to 1",
    "the draft's law rules the drafted id out",
    "what is given is no tree",
    "the rule judges chains, and this node has several children",
    "a coin is out of its range",
)


class Verdict(NamedTuple):
    """What a verifier decided, a row for each tree."""

    path: Int[Tensor, "b k"]
    """Accepted nodes under the root, root side first; -1 absent."""
    length: Int[Tensor, " b"]
    """How many they are."""
    final: Int[Tensor, " b"]
    """The id emitted after them; -1 where there is a fault."""
    fault: Int[Tensor, " b"]
    """0, or the faulty node times the number of faults plus the fault's place in `FAULTS`.

    The first node at which the tree or a coin is wrong; else the first whose rows the walk reads and that are faulty.
    """


def check(verdict: Verdict) -> None:
    """Lets a sound verdict pass.

    Raises: ValueError naming the first faulty row, its node and the reason.
    """
    for row in verdict.fault.nonzero()[:1, 0].tolist():
        node, reason = divmod(int(verdict.fault[row]), len(FAULTS))
        raise ValueError(f"row {row}, node {node}: {FAULTS[reason]}")


def unsound(laws: Float[Tensor, "b m v"]) -> Int[Tensor, "b m"]:
    """1 where an entry is none, 2 where the entries do not sum to 1, 0 for a law.

    Each entry is cut to a multiple of 2**-40, so that the sum has no order.
    """
    entries = (laws.amin(-1) >= 0) & (laws.amax(-1) < torch.inf)  # which a NaN is neither
    total = laws.clamp(max=2).double().mul_(_STEPS).long().sum(-1).double() / _STEPS
    return torch.where(entries, ((total - 1).abs() > TOLERANCE).long() * 2, 1)
