"""Children chosen without a coin: a draw from the target, and on under it if it is a child.

The draft's law is not read. Exact because it is a draw from p and a look-up; it is what EAGLE-2's trees call for.
Source: Li et al. (2024), arXiv:2406.16858.
"""

from __future__ import annotations

import torch

from crt_verify.rules.forest import Forest
from crt_verify.rules.listed import chances, mass, without
from crt_verify.rules.plan import Plan, planned


def plan(forest: Forest) -> Plan:
    """Accepts a child with its part of the mass that is not yet tried; what is left is p off the children."""
    rest = without(forest.p, forest, forest.there)
    scale = torch.zeros_like(forest.wanted)
    gain, bar = chances(forest, forest.there, mass(forest, rest, scale))
    return planned(forest, gain, bar, rest)
