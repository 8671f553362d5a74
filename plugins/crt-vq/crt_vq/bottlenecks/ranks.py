"""Sums and copies over ranks: processes that train one model on parts of a batch.

No command of crtcore starts several ranks yet; in a process without `torch.distributed` both functions do nothing.
"""

from __future__ import annotations

from torch import Tensor, distributed


def summed(value: Tensor) -> Tensor:
    """`value`, overwritten by its sum over all ranks."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(value)
    return value


def broadcast(value: Tensor) -> Tensor:
    """`value`, overwritten by that of the first rank."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.broadcast(value, 0)
    return value
