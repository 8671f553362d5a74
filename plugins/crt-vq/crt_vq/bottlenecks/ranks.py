"""Sums and copies over ranks: processes that train one model on parts of a batch.

No command of crtcore starts several ranks yet; in a process without `torch.distributed` both functions do nothing.
"""

from __future__ import annotations

from torch import Tensor, distributed

CONTIGUOUS = "expected a contiguous tensor: gloo sums others wrongly, without an error"


def summed(value: Tensor) -> Tensor:
    """`value`, which is contiguous, overwritten by its sum over all ranks."""
    assert value.is_contiguous(), CONTIGUOUS
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(value)
    return value


def broadcast(value: Tensor) -> Tensor:
    """`value`, which is contiguous, overwritten by that of the first rank."""
    assert value.is_contiguous(), CONTIGUOUS
    if distributed.is_available() and distributed.is_initialized():
        distributed.broadcast(value, 0)
    return value
