"""Stands for torch's random functions: each draw branches, and what cannot is refused by name.

All of torch passes a dispatcher, so that draws are seen however they are called, with a generator or without. Those
that are not known here are refused by the tag that torch gives to them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from crt_verify.audit.branches import NotFollowed
from crt_verify.audit.replays.arrays import Unknown
from crt_verify.audit.replays.noise import Noise
from crt_verify.audit.replays.source import Source
from crt_verify.audit.replays.torch_memory import Memory
from crt_verify.audit.replays.torch_through import Through, bound, opname


@contextlib.contextmanager
def torch_draws(source: Source) -> Iterator[None]:
    """Puts followed draws in the place of torch's."""
    memory = Memory(source)
    with torch.no_grad(), torch.compiler.set_stance("force_eager"), _Values(memory), _Draws(memory):
        yield


class _Draws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation of torch."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._memory = memory
        self._through = Through(memory)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        with torch._C.DisableTorchFunction():  # what follows reads memory itself
            if _draws(func) and not _without_dropout(func, args, kwargs):
                name = opname(func)
                if name not in DRAWS or func._overloadname.endswith("out"):
                    raise NotFollowed(f"torch.ops.aten.{name} is no draw that is followed")
                return DRAWS[name](self._memory, bound(func, args, kwargs))
            if self._memory:
                return self._through(func, args, kwargs)
            return func(*args, **kwargs)


@cache
def _draws(func: Any) -> bool:
    """Whether an operation draws at random."""
    return torch.Tag.nondeterministic_seeded in func.tags


class _Values(TorchFunctionMode):
    """Sees values of random numbers leave torch."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self._memory = memory

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in LEAVING and self._memory.holds(args[0]):
            noise = self._memory.read(args[0])
            if not isinstance(noise, Noise):
                return func(self._memory.settled(args[0]), *args[1:], **(kwargs or {}))
            if func not in ANSWERED:
                raise NotFollowed(f"Tensor.{func.__name__} of {noise.kind.value}; only comparisons have branches")
            unknown = Unknown(noise)
            return unknown if func is Tensor.numpy else unknown.item() if func is Tensor.item else unknown.tolist()
        return func(*args, **(kwargs or {}))


ANSWERED = {Tensor.item, Tensor.tolist, Tensor.numpy}
LEAVING = ANSWERED | {Tensor.__array__, Tensor.data_ptr, Tensor.untyped_storage, Tensor.__dlpack__}
"""What reads a tensor's memory past the dispatcher."""


def _without_dropout(func: Any, args: Any, kwargs: Any) -> bool:
    """Whether an operation that may drop elements drops none, as attention does in evaluation."""
    given = bound(func, args, kwargs)
    return given.get("dropout_p", given.get("dropout")) == 0.0 or given.get("train") is False


def _rand(memory: Memory, given: dict[str, Any]) -> Tensor:
    return memory.make(Noise.uniform(memory.source, tuple(given["size"])), _dtype(given, torch.get_default_dtype()))


def _rand_like(memory: Memory, given: dict[str, Any]) -> Tensor:
    return memory.make(Noise.uniform(memory.source, tuple(given["self"].shape)), _dtype(given, given["self"].dtype))


def _uniform(memory: Memory, given: dict[str, Any]) -> Tensor:
    into = given["self"]
    noise = Noise.uniform(memory.source, tuple(into.shape)).times(given["to"] - given["from"]).plus(given["from"])
    memory.write(into, noise)
    return into  # type: ignore[no-any-return]


def _exponential(memory: Memory, given: dict[str, Any]) -> Tensor:
    into = given["self"]
    memory.write(into, Noise.exponential(memory.source, tuple(into.shape)).times(1 / given["lambd"]))
    return into  # type: ignore[no-any-return]


def _multinomial(memory: Memory, given: dict[str, Any]) -> Tensor:
    rows = _known(memory, given["self"], "multinomial")
    draws = memory.source.draws
    places = []
    for row in rows.reshape(-1, rows.shape[-1]):
        left = row.copy()
        for _ in range(given["num_samples"]):
            places.append(draws.choice(left))
            if not given["replacement"]:
                left[places[-1]] = 0
    return torch.tensor(places).reshape(*rows.shape[:-1], given["num_samples"])


def _bernoulli(memory: Memory, given: dict[str, Any]) -> Tensor:
    chances = given.get("p", given["self"])
    values = np.broadcast_to(_known(memory, chances, "bernoulli"), given["self"].shape)
    drawn = [memory.source.draws.accept(chance) for chance in values.ravel()]
    return torch.tensor(drawn, dtype=given["self"].dtype).reshape(given["self"].shape)


def _bernoulli_in_place(memory: Memory, given: dict[str, Any]) -> Tensor:
    into = given["self"]
    if memory.holds(into):
        raise NotFollowed("Tensor.bernoulli_ writes beside random numbers")
    return into.copy_(_bernoulli(memory, given))  # type: ignore[no-any-return]


def _randint(memory: Memory, given: dict[str, Any]) -> Tensor:
    like = given.get("self")
    shape = given["size"] if like is None else like.shape
    dtype = _dtype(given, torch.int64 if like is None else like.dtype)
    low, high = int(given.get("low", 0)), int(given["high"])
    drawn = [low + memory.source.draws.choice([1.0] * (high - low)) for _ in range(int(np.prod(shape)))]
    return torch.tensor(drawn, dtype=dtype).reshape(tuple(shape))


def _randperm(memory: Memory, given: dict[str, Any]) -> Tensor:
    left, order = np.ones(given["n"]), []
    for _ in range(given["n"]):
        order.append(memory.source.draws.choice(left))
        left[order[-1]] = 0
    return torch.tensor(order, dtype=_dtype(given, torch.int64))


def _dtype(given: dict[str, Any], usual: torch.dtype) -> torch.dtype:
    """The type that is asked for; the default of a schema is a number, and stands for the usual one."""
    return given["dtype"] if isinstance(given["dtype"], torch.dtype) else usual


def _known(memory: Memory, tensor: Any, name: str) -> Any:
    values = memory.read(tensor)
    if isinstance(values, Noise):
        raise NotFollowed(f"torch.{name} by chances that are random numbers")
    return values


DRAWS: dict[str, Callable[[Memory, dict[str, Any]], Tensor]] = {
    "rand": _rand,
    "rand_like": _rand_like,
    "uniform_": _uniform,
    "exponential_": _exponential,
    "multinomial": _multinomial,
    "bernoulli": _bernoulli,
    "bernoulli_": _bernoulli_in_place,
    "randint": _randint,
    "randint_like": _randint,
    "randperm": _randperm,
}
"""Draws that are followed, by the name of the operation."""
