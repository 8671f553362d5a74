"""One step, forward and backward, on tensors without contents: its FLOPs and the memory it keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

_ATEN = torch.ops.aten


def _attention(query: Any, key: Any, value: Any, *_: object, **__: object) -> int:
    """FLOPs of attention, masked pairs included, as torch counts the other attention kernels."""
    count: int = sdpa_flop_count(query, key, value)  # type: ignore[no-untyped-call]
    return count


def _attention_back(gradient: Any, query: Any, key: Any, value: Any, *_: object, **__: object) -> int:
    count: int = sdpa_backward_flop_count(gradient, query, key, value)  # type: ignore[no-untyped-call]
    return count


_MORE: Mapping[Any, Any] = MappingProxyType(
    {
        _ATEN._scaled_dot_product_flash_attention_for_cpu: _attention,
        _ATEN._scaled_dot_product_flash_attention_for_cpu_backward: _attention_back,
    }
)
"""Formulas that torch lacks."""


class Trace(NamedTuple):
    """The cost of one step."""

    flops: int
    """Of matrix products, convolutions and attention; a multiply-add counts as two."""
    kept: int
    """Bytes that the forward pass keeps for the gradient, without weights."""


class _Untracked:
    """Attributes all FLOPs to the whole; torch's own tracker of modules fails under `autograd.grad`."""

    parents = frozenset({"Global"})

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def flop_counter() -> FlopCounterMode:
    """A context that counts FLOPs, and allows `autograd.grad` inside."""
    counter = FlopCounterMode(display=False, custom_mapping=dict(_MORE))
    counter.mod_tracker = _Untracked()  # type: ignore[assignment]
    return counter


def traced(loss: Callable[[], Tensor], weights: Iterable[Tensor], *, precision: str) -> Trace:
    """Computes a loss of blank `weights` and its gradient, and counts; call it inside `blank`."""
    known = {_storage(weight).cdata for weight in weights}
    met: dict[int, tuple[StorageWeakRef, int]] = {}  # a weak reference frees a storage, but keeps its id in use

    def keep(tensor: Tensor) -> Tensor:
        storage = _storage(tensor)
        met.setdefault(storage.cdata, (storage, tensor.untyped_storage().nbytes()))
        return tensor

    with flop_counter() as counter:
        with (
            torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
            torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"),
        ):
            total = loss()
        kept = sum(size for key, (storage, size) in met.items() if key not in known and _lives(storage))
        if total.requires_grad:
            total.backward()  # type: ignore[no-untyped-call]
    return Trace(counter.get_total_flops(), kept)


def _lives(storage: StorageWeakRef) -> bool:
    return not storage.expired()  # type: ignore[no-untyped-call]


def _storage(tensor: Tensor) -> StorageWeakRef:
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
