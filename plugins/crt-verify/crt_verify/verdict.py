"""What a verifier returns, and the faults that it reports.

Axes: b batch, m nodes (the root counted), v vocabulary, k accepted nodes. Node 0 is the root: the last emitted id.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

TOLERANCE = 1e-3
"""How far from 1 a row may sum: well above float32's rounding, well below what a row without its cut ids misses."""
_STEPS = 2.0**40
"""What an entry of 1 adds to that sum: with entries cut to 2, rows of four million of them stay below 2**63."""


class Fault(IntEnum):
    """Why a tree cannot be verified; kernels/faults.cuh has the same numbers."""

    NONE = 0
    TARGET_ENTRY = 1
    TARGET_SUM = 2
    DRAFT_ENTRY = 3
    DRAFT_SUM = 4
    RULED_OUT = 5
    NOT_A_TREE = 6
    NOT_A_CHAIN = 7
    UNIFORM_RANGE = 8


FAULTS: dict[int, str] = {
    Fault.NONE: "there is no fault",
    Fault.TARGET_ENTRY: "the target's distribution has a NaN, infinite or negative entry",
    Fault.TARGET_SUM: "the target's distribution does not sum to 1",
    Fault.DRAFT_ENTRY: "the draft's distribution has a NaN, infinite or negative entry",
    Fault.DRAFT_SUM: "the draft's distribution does not sum to 1",
    Fault.RULED_OUT: "the drafted id is impossible under the draft's distribution",
    Fault.NOT_A_TREE: "the parents do not form a tree",
    Fault.NOT_A_CHAIN: "the rule verifies chains, and this node has several children",
    Fault.UNIFORM_RANGE: "a uniform is out of its range",
}
"""What each fault means."""


class Verdict(NamedTuple):
    """What a verifier decided, a row for each tree."""

    path: Int[Tensor, "b k"]
    """Accepted nodes under the root, the topmost first; -1 is absent."""
    length: Int[Tensor, " b"]
    """How many nodes are accepted."""
    final: Int[Tensor, " b"]
    """The id emitted after them; -1 where there is a fault."""
    fault: Int[Tensor, " b"]
    """0, or the faulty node times the number of faults plus the `Fault`.

    A tree with a wrong shape or uniform reports the first such node. Otherwise it reports the first faulty node whose
    rows the walk reads.
    """


def check(verdict: Verdict) -> None:
    """Returns if no row has a fault.

    Raises: ValueError with the first faulty row, its node and the reason.
    """
    for row in verdict.fault.nonzero()[:1, 0].tolist():
        node, reason = divmod(int(verdict.fault[row]), len(FAULTS))
        raise ValueError(f"row {row}, node {node}: {FAULTS[reason]}")


def distribution_faults(rows: Float[Tensor, "b m v"]) -> Int[Tensor, "b m"]:
    """The fault of each row if it were the target's: `TARGET_ENTRY`, `TARGET_SUM`, or 0 for a distribution.

    Each entry is cut to a multiple of 2**-40, so that the order of summation does not matter.
    """
    entries = (rows.amin(-1) >= 0) & (rows.amax(-1) < torch.inf)  # both are false for a NaN
    total = rows.clamp(max=2).double().mul_(_STEPS).long().sum(-1).double() / _STEPS
    off = ((total - 1).abs() > TOLERANCE).long() * int(Fault.TARGET_SUM)
    return torch.where(entries, off, int(Fault.TARGET_ENTRY))
