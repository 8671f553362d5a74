"""Replacement strategies: which chunks of the steps become codes, by sample, epoch and progress.

Axes: b batch, j chunks of the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from crtcore import Noise

CEILINGS = (0, 72, 128, 160, 192, 224, 256)
"""Most ids that are replaced, one of which is drawn first.

Source: Su et al. (2025), arXiv:2502.03275; 72 is no multiple of 16, and is cut to whole chunks like any other.
"""


class Occasion(NamedTuple):
    """Which samples are mixed, and when: the same sample in the same epoch is mixed in the same way."""

    samples: Int[Tensor, " b"]
    epochs: Int[Tensor, " b"]
    """The epoch that each sample is in."""
    progress: float
    """0 to 1: how much of the training is done."""


def randomised(
    whole: Int[Tensor, " b"], occasion: Occasion, *, noise: Noise, length: int, ceilings: Sequence[int] = CEILINGS
) -> Bool[Tensor, "b j"]:
    """The left-most chunks, a number of them drawn in two levels: a ceiling of `ceilings`, then a number up to it.

    Chunks have `length` ids, and of a ceiling that is none of their multiples the whole ones count. With ceilings of M
    chunks, j are drawn with the mean of [j <= M] / (M + 1) over them; a row with fewer has all of its own replaced.
    """
    tops = torch.tensor([ceiling // length for ceiling in ceilings])
    top = tops[_below(len(tops), noise, occasion, 0)]
    return leftmost(_below(top + 1, noise, occasion, 1), whole)


def everything(whole: Int[Tensor, " b"], occasion: Occasion) -> Bool[Tensor, "b j"]:
    """All chunks."""
    return leftmost(whole, whole)


def curriculum(whole: Int[Tensor, " b"], occasion: Occasion) -> Bool[Tensor, "b j"]:
    """The left-most chunks, more of them as training goes on: none first, then one, and all of them in the last stage.

    A row of J chunks goes through J + 1 stages of equal length.
    """
    return leftmost((occasion.progress * (whole + 1).double()).long(), whole)


def poisson(
    whole: Int[Tensor, " b"], occasion: Occasion, *, noise: Noise, length: int, ceilings: Sequence[int] = CEILINGS
) -> Bool[Tensor, "b j"]:
    """As many chunks as `randomised` has under the same noise, at places that are drawn."""
    count = randomised(whole, occasion, noise=noise, length=length, ceilings=ceilings).sum(1)
    columns = torch.arange(int(whole.amax()) if len(whole) else 0)
    keys = noise.bits(occasion.samples[:, None], occasion.epochs[:, None], 2 + columns)  # b j
    ranks = keys.masked_fill(columns >= whole[:, None], 2**32).argsort(dim=1, stable=True).argsort(1)
    return ranks < count[:, None]


def leftmost(count: Int[Tensor, " b"], whole: Int[Tensor, " b"]) -> Bool[Tensor, "b j"]:
    """The first `count` chunks of each row, or as many as it has."""
    columns = torch.arange(int(whole.amax()) if len(whole) else 0)
    return columns < torch.minimum(count, whole)[:, None]


def _below(bound: int | Int[Tensor, " b"], noise: Noise, occasion: Occasion, which: int) -> Int[Tensor, " b"]:
    return noise.bits(occasion.samples, occasion.epochs, which) * bound >> 32
