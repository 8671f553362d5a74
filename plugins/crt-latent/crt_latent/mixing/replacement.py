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
"""Limits of the replaced ids, one of which is drawn for each row.

Source: Su et al. (2025), arXiv:2502.03275; 72 is no multiple of 16 and is rounded down to whole chunks.
"""


class Occasion(NamedTuple):
    """Which samples are mixed, and when: a sample is always mixed in the same way in the same epoch."""

    samples: Int[Tensor, " b"]
    epochs: Int[Tensor, " b"]
    """The epoch of each sample."""
    progress: float
    """Share of the training that is done, 0 to 1."""


def randomised(
    whole: Int[Tensor, " b"], occasion: Occasion, *, noise: Noise, length: int, ceilings: Sequence[int] = CEILINGS
) -> Bool[Tensor, "b j"]:
    """Chooses left-most chunks; their number is drawn in two levels: a ceiling of `ceilings`, then a number up to it.

    Chunks have `length` ids, and a ceiling is rounded down to whole chunks. With ceilings of M chunks, the probability
    of j is the mean of [j <= M] / (M + 1) over them; a row with fewer chunks has all of them replaced.
    """
    tops = torch.tensor([ceiling // length for ceiling in ceilings])
    top = tops[_below(len(tops), noise, occasion, 0)]
    return leftmost(_below(top + 1, noise, occasion, 1), whole)


def everything(whole: Int[Tensor, " b"], occasion: Occasion) -> Bool[Tensor, "b j"]:
    """Chooses all chunks."""
    return leftmost(whole, whole)


def curriculum(whole: Int[Tensor, " b"], occasion: Occasion) -> Bool[Tensor, "b j"]:
    """Chooses left-most chunks, more with progress: none in the first stage, all in the last.

    A row of J chunks has J + 1 stages of equal length.
    """
    return leftmost((occasion.progress * (whole + 1).double()).long(), whole)


def poisson(
    whole: Int[Tensor, " b"], occasion: Occasion, *, noise: Noise, length: int, ceilings: Sequence[int] = CEILINGS
) -> Bool[Tensor, "b j"]:
    """Chooses as many chunks as `randomised` with the same noise, at random places."""
    count = randomised(whole, occasion, noise=noise, length=length, ceilings=ceilings).sum(1)
    columns = torch.arange(int(whole.amax()) if len(whole) else 0)
    keys = noise.bits(occasion.samples[:, None], occasion.epochs[:, None], 2 + columns)  # b j
    ranks = keys.masked_fill(columns >= whole[:, None], 2**32).argsort(dim=1, stable=True).argsort(1)
    return ranks < count[:, None]


def leftmost(count: Int[Tensor, " b"], whole: Int[Tensor, " b"]) -> Bool[Tensor, "b j"]:
    """Chooses the first `count` chunks of each row, or all if there are fewer."""
    columns = torch.arange(int(whole.amax()) if len(whole) else 0)
    return columns < torch.minimum(count, whole)[:, None]


def _below(bound: int | Int[Tensor, " b"], noise: Noise, occasion: Occasion, which: int) -> Int[Tensor, " b"]:
    return noise.bits(occasion.samples, occasion.epochs, which) * bound >> 32
