"""One step, forward and back, on tensors without contents: what it computes and what it keeps."""

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
    """All of it: the library's own formulas leave out no half of a causal one either."""
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
"""Formulas that the library lacks."""


class Trace(NamedTuple):
    """What one step takes."""

    flops: int
    """Of matrix products, convolutions and attention; a multiply-add is two."""
    kept: int
    """Bytes kept from the forward pass for the gradient, weights excepted."""


class _Everywhere:
    """Tells no module from another, as the library's own tracker cannot bear `autograd.grad`."""

    parents = frozenset({"Global"})

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def traced(loss: Callable[[], Tensor], weights: Iterable[Tensor], *, precision: str) -> Trace:
    """What it takes to compute a loss of blank `weights`, and its gradient; to be called where tensors are blank."""
    known = {_storage(weight).cdata for weight in weights}
    met: dict[int, tuple[StorageWeakRef, int]] = {}  # a reference lets a storage go, but not its number

    def keep(tensor: Tensor) -> Tensor:
        storage = _storage(tensor)
        met.setdefault(storage.cdata, (storage, tensor.untyped_storage().nbytes()))
        return tensor

    counter = FlopCounterMode(display=False, custom_mapping=dict(_MORE))
    counter.mod_tracker = _Everywhere()  # type: ignore[assignment]
    with counter:
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
