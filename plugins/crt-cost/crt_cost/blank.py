"""Blank tensors: shapes without contents, on which code that reads values runs as well."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

_ATEN = torch.ops.aten


def _number(tensor: Tensor) -> float | int | bool:
    if tensor.dtype == torch.bool:
        return False
    return 0.0 if tensor.is_floating_point() else 0


def _polar(lengths: Tensor, angles: Tensor) -> Tensor:
    return torch.complex(lengths, angles)


def _unique(tensor: Tensor, *_: object, **__: object) -> tuple[Tensor, Tensor, Tensor]:
    places = torch.empty_like(tensor, dtype=torch.int64)
    return tensor.flatten(), places, places.flatten()


def _places(tensor: Tensor) -> Tensor:
    return tensor.new_empty(tensor.numel(), tensor.ndim, dtype=torch.int64)


def _selected(tensor: Tensor, indices: Sequence[Tensor | None]) -> Tensor:
    """Indexing in which a mask selects everything."""
    places: list[Tensor | None] = []
    for index in indices:
        if index is None or index.dtype != torch.bool:
            places.append(index)
        else:
            places += [index.new_empty(index.numel(), dtype=torch.int64)] * index.ndim
    selected: Tensor = _ATEN.index.Tensor(tensor, places)
    return selected


_ANSWERS: Mapping[Any, Callable[..., Any]] = MappingProxyType(
    {
        _ATEN._local_scalar_dense.default: _number,
        _ATEN.polar.default: _polar,  # torch knows no shape for it
        _ATEN.nonzero.default: _places,
        _ATEN._unique2.default: _unique,
        _ATEN.index.Tensor: _selected,
    }
)


class Answers(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Answers what fake tensors cannot: a number is 0, a mask selects everything, all values are unique."""

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """The result of `func`, or its substitute."""
        return _ANSWERS.get(func, func)(*args, **(kwargs or {}))


@contextmanager
def blank() -> Iterator[None]:
    """Tensors and modules that are built inside have no contents and take no memory.

    They report the CPU as their device, as autocast and attention support no meta tensors.
    """
    with FakeTensorMode(allow_non_fake_inputs=True), Answers():  # type: ignore[no-untyped-call]
        yield
