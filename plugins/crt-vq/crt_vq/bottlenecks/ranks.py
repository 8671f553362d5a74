"""Ranks: processes that train one model on parts of a batch, and what they have to agree on."""

from __future__ import annotations

from torch import Tensor, distributed


def summed(value: Tensor) -> Tensor:
    """`value`, which becomes its sum over all ranks."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(value)
    return value


def agreed(value: Tensor) -> Tensor:
    """`value`, which becomes that of the first rank on all."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.broadcast(value, 0)
    return value
