"""The order of batches, and first values: from seeds of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from jaxtyping import Int
from torch import Tensor

from crtcore.noise import Noise, derive


@contextmanager
def seeded(seed: int, name: str) -> Iterator[None]:
    """First values of the part called `name` come from a seed of its own; torch's generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, name))
        yield


def batch_at(noise: Noise, size: int, batch: int, step: int) -> Int[Tensor, " batch"]:
    """The samples of a step: epoch after epoch, each in an order of its own, whatever was done before."""
    start, stop = step * batch, (step + 1) * batch
    epochs = range(start // size, (stop - 1) // size + 1)
    return torch.cat([_order(noise, size, each)[max(start - each * size, 0) : stop - each * size] for each in epochs])


@lru_cache(maxsize=2)  # a batch lies in one epoch or two, and so does the next one
def _order(noise: Noise, size: int, epoch: int) -> Int[Tensor, " size"]:
    return noise.order(size, epoch)
