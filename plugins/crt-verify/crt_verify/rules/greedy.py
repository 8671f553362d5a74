"""The draft's most likely ids as children, and one more drawn from the rest of its law; the drawn one stands last.

Source: Hu et al. (2025), arXiv:2502.18779, greedy draft sampling.
"""

from __future__ import annotations

import torch

from crt_verify.rules.forest import Forest, total
from crt_verify.rules.listed import chances, mass, without
from crt_verify.rules.plan import Plan, planned


def plan(forest: Forest) -> Plan:
    """The drawn id by min(1, p / q'), q' the draft off the likely ones; else p on those and (p - q')_+ elsewhere."""
    likely = forest.there & ~forest.last
    off = without(forest.q, forest, likely)  # b m v
    drawn = forest.under & forest.last[:, :, None]
    x = torch.where(forest.last, off.flatten(1).gather(1, forest.parents * off.shape[-1] + forest.tokens), 0)
    left = total(off).maximum(torch.where(drawn, x[:, :, None], 0).sum(1))
    scale = torch.where(left > 0, 1 / torch.where(left > 0, left, 1), 0)
    rest = without(forest.p, forest, forest.there)
    gain, bar = chances(forest, likely, mass(forest, rest, scale))
    above = left.gather(1, forest.parents)
    gain = torch.where(forest.last, torch.where(x > 0, forest.wanted * above, 0), gain)
    bar = torch.where(forest.last, x, bar)
    turn = torch.where(forest.last, -1, forest.node)
    return planned(forest, gain, bar, rest, scale=scale, turn=turn)
