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


DRAWN = 2**15
"""Numbers that are drawn at once for the orders of epochs: a draw of few takes about as long, 1 ms on a processor."""
AHEAD = 64
"""Steps whose seeds are drawn at once, as drawing those of one step takes about as long: 0.6 ms on a processor."""


def step_noise(seed: int, role: str, step: int, rows: int, device: torch.device) -> Noise:
    """The noise of a training step of `role`: a seed for each row of its batch, and no state between steps.

    On ranks the rows are those of this rank, and a row has the seed of its place in the whole batch.
    Raises: ValueError if there are other rows at hand than `rows`.
    """
    stream = f"noise of the {role}'s steps"
    return Noise(_seeds(seed, stream, rows_at_hand(rows), device, step // AHEAD)[step % AHEAD], stream)


@lru_cache(maxsize=4)  # a run trains few parts at a time
def _seeds(seed: int, stream: str, rows: range, device: torch.device, block: int) -> Int[Tensor, "steps rows"]:
    steps = torch.arange(block * AHEAD, (block + 1) * AHEAD)
    return Noise(seed, stream).seeds(torch.tensor(rows), steps[:, None]).to(device)


def batch_at(noise: Noise, size: int, batch: int, step: int) -> Int[Tensor, " batch"]:
    """Indices of the samples in a step's batch; every epoch has its own order, and no state is kept between steps.

    On ranks they are those of this rank's rows.
    """
    rows = rows_of(batch)
    start, stop = step * batch + rows.start, step * batch + rows.stop
    epochs = range(start // size, (stop - 1) // size + 1)
    parts = [_order(noise, size, each)[max(start - each * size, 0) : stop - each * size] for each in epochs]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _order(noise: Noise, size: int, epoch: int) -> Int[Tensor, " size"]:
    count = max(DRAWN // size, 1)
    return _orders(noise, size, epoch // count, count)[epoch % count]


@lru_cache(maxsize=2)  # a batch lies in at most two epochs, and so does the next one
def _orders(noise: Noise, size: int, block: int, count: int) -> Int[Tensor, "count size"]:
    return noise.order(size, torch.arange(block * count, (block + 1) * count))
