"""The order of batches and the initial values of parts, each from its own seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from jaxtyping import Int
from torch import Tensor

from crt_nn.ranks import rows_at_hand, rows_of
from crtcore.noise import Noise, derive


@contextmanager
def seeded(seed: int, name: str) -> Iterator[None]:
    """Seeds torch's generator for the initial values of the part called `name`, and restores it afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, name))
        yield


def step_noise(seed: int, role: str, step: int, rows: int, device: torch.device) -> Noise:
    """The noise of a training step of `role`: a seed for each row of its batch, and no state between steps.

    On ranks the rows are those of this rank, and a row has the seed of its place in the whole batch.
    Raises: ValueError if there are other rows at hand than `rows`.
    """
    noise, here = Noise(seed, f"noise of the {role}'s steps"), rows_at_hand(rows)
    return Noise(noise.seeds(torch.tensor(here), step).to(device), noise.stream)


def batch_at(noise: Noise, size: int, batch: int, step: int) -> Int[Tensor, " batch"]:
    """Indices of the samples in a step's batch; every epoch has its own order, and no state is kept between steps.

    On ranks they are those of this rank's rows.
    """
    rows = rows_of(batch)
    start, stop = step * batch + rows.start, step * batch + rows.stop
    epochs = range(start // size, (stop - 1) // size + 1)
    return torch.cat([_order(noise, size, each)[max(start - each * size, 0) : stop - each * size] for each in epochs])


@lru_cache(maxsize=2)  # a batch lies in at most two epochs, and so does the next one
def _order(noise: Noise, size: int, epoch: int) -> Int[Tensor, " size"]:
    return noise.order(size, epoch)
