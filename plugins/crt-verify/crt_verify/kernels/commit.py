"""Keys and values of accepted nodes, moved behind those that are committed: on a GPU, or by the same code on a CPU.

Axes: b batch, k accepted nodes. A shelf has axes `b s ...`: slots, and what a slot holds.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from crt_verify.kernels import device, host

WORD = 4
"""Bytes that move at once."""


class _Shelf(ctypes.Structure):
    """`Shelf` of commit.cuh."""

    _fields_ = (
        ("words", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("slots", "width", "bound")),
        *((name, ctypes.c_void_p) for name in ("path", "counts")),
        ("length", ctypes.c_int64),
    )


@cache
def loaded(architecture: str) -> Any:
    """The operator, ready to be called."""
    torch.ops.load_library(device.built("commit.cu", "commit", [architecture]))  # type: ignore[no-untyped-call]
    return torch.ops.crt_verify_commit.commit


def commit(shelf: Shaped[Tensor, "b s *w"], path: Int[Tensor, "_ k"], counts: Int[Tensor, " _"], bound: int) -> None:
    """Moves slot `bound` + n to slot `counts` + i for the i-th node n of each path; every other slot stays as it is.

    A path goes down: each node has a larger number than the one before it, and absent ones (-1) come last.
    Raises: ValueError if the shelf is not contiguous, if a slot is no whole number of words, or if shapes do not fit.
    """
    slot = shelf[:1, :1].numel() * shelf.element_size()
    if not shelf.is_contiguous() or slot % WORD:
        raise ValueError(f"expected contiguous slots of whole {WORD}-byte words, got {slot} bytes, {shelf.stride()}")
    if not len(shelf) == len(path) == len(counts):
        raise ValueError(f"expected a path and a count for each of {len(shelf)} rows, got {len(path)}, {len(counts)}")
    path, counts = path.long().contiguous(), counts.long().contiguous()
    if shelf.is_cuda:
        with torch.cuda.device(shelf.device):
            operator = loaded("sm_{}{}".format(*torch.cuda.get_device_capability()))
            operator(shelf, path, counts, bound, torch.cuda.current_stream().cuda_stream)
        return
    places = (shelf.data_ptr(), shelf.shape[1], slot // WORD, bound, path.data_ptr(), counts.data_ptr(), path.shape[1])
    host.library().crt_commit(ctypes.byref(_Shelf(*places)), ctypes.c_int64(len(shelf)))
