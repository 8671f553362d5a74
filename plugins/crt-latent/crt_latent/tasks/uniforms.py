"""Random numbers of a problem, as a pure function of its seed.

Axes: b batch, n draws of a problem.
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from crtcore import Noise


def bits(seeds: Int[Tensor, " b"], name: str, count: int) -> Int[Tensor, "b n"]:
    """Returns `count` integers of 32 bits for each seed, from a named stream."""
    return Noise(seeds[:, None], name).bits(torch.arange(count))


def below(bound: int | Int[Tensor, "..."], seeds: Int[Tensor, " b"], name: str, count: int) -> Int[Tensor, "b n"]:
    """Returns `count` integers from 0 up to `bound`, uniform to one part in 2**32 / bound."""
    return bits(seeds, name, count) * bound >> 32


def orders(seeds: Int[Tensor, " b"], name: str, count: int) -> Int[Tensor, "b n"]:
    """Returns a permutation of `count` numbers for each seed."""
    return bits(seeds, name, count).argsort(dim=1, stable=True)
