"""Commits the keys and values of accepted nodes behind the committed ones: on a GPU, or by the same code on a CPU.

Axes: b batch, k accepted nodes. A cache has axes `b s ...`: slots, and the numbers of a slot.
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
"""Bytes that are copied at once."""


class _KVCache(ctypes.Structure):
    """`KVCache` of commit.cuh."""

    _fields_ = (
        ("words", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("slots", "width", "bound")),
        *((name, ctypes.c_void_p) for name in ("path", "counts")),
        ("length", ctypes.c_int64),
    )


@cache
def loaded(architecture: str) -> Any:
    """The loaded operator."""
    torch.ops.load_library(device.built("commit.cu", "commit", [architecture]))  # type: ignore[no-untyped-call]
    return torch.ops.crt_verify_commit.commit


def commit(kv: Shaped[Tensor, "b s *w"], path: Int[Tensor, "_ k"], counts: Int[Tensor, " _"], bound: int) -> None:
    """Moves slot `bound` + n to slot `counts` + i for the i-th node n of each path; other slots do not change.

    A path goes down: each node has a larger number than the one before it, and absent ones (-1) come last.
    Raises: ValueError if the cache is not contiguous, if a slot is not made of whole words, or if shapes do not fit.
    """
    slot = kv[:1, :1].numel() * kv.element_size()
    if not kv.is_contiguous() or slot % WORD:
        raise ValueError(f"expected contiguous slots of whole {WORD}-byte words, got {slot} bytes, {kv.stride()}")
    if not len(kv) == len(path) == len(counts):
        raise ValueError(f"expected a path and a count for each of {len(kv)} rows, got {len(path)}, {len(counts)}")
    path, counts = path.long().contiguous(), counts.long().contiguous()
    if kv.is_cuda:
        with torch.cuda.device(kv.device):
            operator = loaded("sm_{}{}".format(*torch.cuda.get_device_capability()))
            operator(kv, path, counts, bound, torch.cuda.current_stream().cuda_stream)
        return
    places = (kv.data_ptr(), kv.shape[1], slot // WORD, bound, path.data_ptr(), counts.data_ptr(), path.shape[1])
    host.library().crt_commit(ctypes.byref(_KVCache(*places)), ctypes.c_int64(len(kv)))
