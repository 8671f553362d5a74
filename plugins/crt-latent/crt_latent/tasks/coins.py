"""Coins: what a problem draws, as a pure function of its seed.

Axes: b batch, n things.
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from crtcore import Noise


def bits(seeds: Int[Tensor, " b"], name: str, count: int) -> Int[Tensor, "b n"]:
    """`count` integers of 32 bits for each seed, in a stream of that name."""
    return Noise(seeds[:, None], name).bits(torch.arange(count))


def below(bound: int | Int[Tensor, "..."], seeds: Int[Tensor, " b"], name: str, count: int) -> Int[Tensor, "b n"]:
    """`count` integers from 0 up to `bound`, even but for one part in 2**32 / bound."""
    return bits(seeds, name, count) * bound >> 32


def orders(seeds: Int[Tensor, " b"], name: str, count: int) -> Int[Tensor, "b n"]:
    """A permutation of `count` things for each seed."""
    return bits(seeds, name, count).argsort(dim=1, stable=True)
