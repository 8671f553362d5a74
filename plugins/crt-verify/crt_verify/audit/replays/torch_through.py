"""Operations of torch on random numbers without a value: views, moves, arithmetic, comparisons and races."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from crt_verify.audit.branches import NotFollowed
from crt_verify.audit.replays import arrays
from crt_verify.audit.replays.arrays import Unknown
from crt_verify.audit.replays.noise import Noise, fixed, joined
from crt_verify.audit.replays.torch_memory import Memory

VIEWS = {"_unsafe_view"}
"""Operations that share memory, and do not say so."""
BY_SHAPE = {
    "empty_like", "zeros_like", "ones_like", "full_like", "new_empty", "new_zeros", "new_ones", "new_full",
    "new_empty_strided", "is_same_size",
}  # fmt: skip
"""Operations that read no element."""
MOVES = {
    "clone", "contiguous", "index", "index_select", "gather", "masked_select", "take", "repeat", "flip", "roll", "cat",
    "stack", "where", "constant_pad_nd",
}  # fmt: skip
"""Operations that move elements."""
ARITHMETIC: dict[str, Callable[..., Unknown]] = {
    "add": arrays.add,
    "sub": arrays.subtract,
    "rsub": lambda left, right: arrays.subtract(right, left),
    "mul": arrays.multiply,
    "div": arrays.divide,
    "neg": arrays.UFUNCS["negative"],
    "log": arrays.UFUNCS["log"],
    "exp": arrays.UFUNCS["exp"],
    "reciprocal": arrays.UFUNCS["reciprocal"],
}
COMPARISONS = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}


@cache
def opname(func: Any) -> str:
    """The name of an operation without its overload."""
    return str(func._schema.name).partition("::")[2]


def bound(func: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    """The arguments of an operation by name, defaults included."""
    names = [each.name for each in func._schema.arguments]
    defaults: dict[str, Any] = {each.name: each.default_value for each in func._schema.arguments}
    given: dict[str, Any] = dict(zip(names, args, strict=False))
    return {**defaults, **given, **kwargs}


@cache
def _shares(func: Any) -> bool:
    """Whether what an operation returns is a view."""
    infos = [each.alias_info for each in func._schema.returns]
    return opname(func) in VIEWS or bool(infos and infos[0] is not None and not infos[0].is_write)


class Through:
    """Runs operations, those on random numbers by what is known of these."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def __call__(self, func: Any, args: Any, kwargs: Any) -> Any:
        """The result of an operation.

        Raises: NotFollowed if it has none for random numbers.
        """
        random = [leaf for leaf in tree_leaves((args, kwargs)) if self._memory.holds(leaf)]
        if not random:
            return func(*args, **kwargs)
        name = opname(func)
        given = bound(func, args, kwargs)
        if name in BY_SHAPE or (_shares(func) and not (name == "view" and "dtype" in given) and "view_as" not in name):
            return func(*args, **kwargs)
        if func._schema.is_mutable and not name.endswith("_"):
            raise NotFollowed(f"torch.ops.aten.{func.__name__} writes random numbers by out=, or beside some")
        settled = {id(leaf): self._memory.settled(leaf) for leaf in random}
        if not func._schema.is_mutable and all(each is not None for each in settled.values()):
            args, kwargs = tree_map(lambda leaf: settled.get(id(leaf), leaf), (args, kwargs))
            return func(*args, **kwargs)
        if name in MOVES:
            return self._moved(func, args, kwargs)
        for followed in (self._computed, self._arithmetic):
            if (result := followed(name, given)) is not None:
                return result
        if name in ("_local_scalar_dense", "is_nonzero"):
            raise NotFollowed("float(), int() or bool() of a tensor of random numbers; only comparisons have branches")
        raise NotFollowed(
            f"torch.ops.aten.{name} of random numbers; they can be moved, scaled, shifted, compared, and raced "
            "(argmax of weight / exponential, or of logit + Gumbel noise)"
        )

    def _computed(self, name: str, given: dict[str, Any]) -> Any:
        """What comparisons, races, searches, casts and writing give; None: the operation is another."""
        read, itself = self._memory.read, given.get("self")
        result: Any = None
        if name in COMPARISONS:
            result = torch.as_tensor(arrays.UFUNCS[COMPARISONS[name]](read(itself), read(given["other"])))
        elif name in ("argmax", "argmin"):
            result = self._raced(name == "argmax", given["self"], given["dim"], given["keepdim"])
        elif name in ("max", "min") and "dim" in given:
            place = self._raced(name == "max", given["self"], given["dim"], True)
            both = self(torch.ops.aten.gather.default, (itself, given["dim"], place), {}), place
            result = both if given["keepdim"] else tuple(each.squeeze(given["dim"]) for each in both)
        elif name in ("searchsorted", "bucketize"):
            result = self._searched(name, given)
        elif name == "_to_copy":
            result = self._memory.make(read(itself), given["dtype"] or given["self"].dtype)
        elif name == "masked_fill":
            value = torch.as_tensor(given["value"], dtype=given["self"].dtype)
            result = self._moved(torch.ops.aten.where.self, (given["mask"], value, itself), {})
        elif name in ("copy_", "fill_", "zero_"):
            self._memory.write(given["self"], read(given.get("src", given.get("value", 0.0))))
            result = itself
        elif name == "index_put_" and not given["accumulate"]:
            at = tuple(slice(None) if each is None else each.numpy() for each in given["indices"])
            self._memory.write(given["self"], read(given["values"]), at)
            result = itself
        return result

    def _arithmetic(self, name: str, given: dict[str, Any]) -> Any:
        """What arithmetic gives, in place too; None: the operation is another."""
        plain = name.removesuffix("_")
        if plain not in ARITHMETIC or given.get("rounding_mode") is not None or given.get("alpha", 1) != 1:
            return None
        itself = given["self"]
        operands = [itself, given["other"]] if "other" in given else [itself]
        values = [self._memory.read(each) for each in operands]
        if not any(isinstance(each, Noise) for each in values):  # constants beside random numbers, changed in place
            values[0] = fixed(self._memory.source, values[0])
        noise = ARITHMETIC[plain](*values).noise
        if plain == name:
            return self._memory.make(noise, torch.result_type(*operands) if len(operands) == 2 else itself.dtype)
        self._memory.write(itself, noise)
        return itself

    def _raced(self, largest: bool, tensor: Tensor, axis: int | None, keep: bool) -> Tensor:
        place = torch.as_tensor(self._memory.read(tensor).arg(axis, largest=largest))
        if keep:
            return place.reshape([1] * tensor.ndim) if axis is None else place.unsqueeze(axis)
        return place

    def _searched(self, name: str, given: dict[str, Any]) -> Tensor:
        edges, numbers = given["sorted_sequence" if name == "searchsorted" else "boundaries"], given["self"]
        if self._memory.holds(edges) or given.get("sorter") is not None:
            raise NotFollowed(f"torch.{name} with a sorter, or in random numbers")
        right = given["right"] or given.get("side") == "right"
        rows = edges.double().reshape(-1, edges.shape[-1]).numpy()
        noise = self._memory.read(numbers)
        parts = noise.each(lambda part: part.reshape(len(rows), -1))
        counts = [
            parts.each(lambda part, place=place: part[place]).search(row, right=right) for place, row in enumerate(rows)
        ]
        dtype = torch.int32 if given["out_int32"] else torch.int64
        return torch.tensor(np.array(counts).reshape(noise.shape), dtype=dtype)

    def _moved(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        """An operation that moves elements, run on all that is known of them; floats are numbers, integers places."""
        leaves = [leaf for leaf in tree_leaves((args, kwargs)) if self._is_data(leaf)]
        values = [self._memory.read(leaf) for leaf in leaves]
        parts = [each if isinstance(each, Noise) else fixed(self._memory.source, each) for each in values]

        def run(columns: list[Any]) -> Any:
            given = {id(leaf): torch.tensor(column) for leaf, column in zip(leaves, columns, strict=True)}
            swapped = tree_map(lambda leaf: given.get(id(leaf), leaf) if self._is_data(leaf) else leaf, (args, kwargs))
            return func(*swapped[0], **swapped[1]).numpy()

        dtype = leaves[0].dtype
        for leaf in leaves[1:]:
            dtype = torch.promote_types(dtype, leaf.dtype)
        return self._memory.make(joined(parts, run), dtype)

    @staticmethod
    def _is_data(leaf: Any) -> bool:
        return isinstance(leaf, Tensor) and leaf.is_floating_point()
