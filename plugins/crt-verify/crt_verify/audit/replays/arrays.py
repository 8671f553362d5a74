"""Random numbers as NumPy and plain Python see them: they compare, and have no value."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from crt_verify.audit.branches import NotFollowed
from crt_verify.audit.replays.noise import Kind, Noise, fixed, joined


class Unknown(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of random numbers, or one of them: comparisons give booleans, by branching."""

    dtype = np.dtype(float)
    __hash__ = None  # type: ignore[assignment]  # equality has no answer

    def __init__(self, noise: Noise) -> None:
        self.noise = noise

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return self.noise.shape

    @property
    def ndim(self) -> int:
        """As of an array."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """As of an array."""
        return math.prod(self.shape)

    @property
    def T(self) -> Unknown:  # noqa: N802  # the name of NumPy
        """As of an array."""
        return self._moved(np.transpose)

    def __len__(self) -> int:
        return len(self.noise.variable)

    def __getitem__(self, place: Any) -> Unknown:
        return self._moved(lambda part: np.asarray(part[place]))

    def __iter__(self) -> Iterator[Unknown]:
        return (self[place] for place in range(len(self)))

    def reshape(self, *shape: Any) -> Unknown:
        """As of an array."""
        return self._moved(lambda part: part.reshape(*shape))

    def ravel(self) -> Unknown:
        """As of an array."""
        return self._moved(np.ravel)

    def squeeze(self) -> Unknown:
        """As of an array."""
        return self._moved(np.squeeze)

    def copy(self) -> Unknown:
        """As of an array."""
        return self._moved(np.copy)

    def item(self) -> Unknown:
        """The only number."""
        return self.reshape(())

    def tolist(self) -> Any:
        """The numbers, in nested lists."""
        return [each.tolist() for each in self] if self.ndim else self

    def argmax(self, axis: int | None = None) -> Any:
        """As of an array: the draw of a race."""
        return _plain(self.noise.arg(axis, largest=True))

    def argmin(self, axis: int | None = None) -> Any:
        """As of an array: the draw of a race."""
        return _plain(self.noise.arg(axis, largest=False))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        name = ufunc.__name__
        if method != "__call__" or keywords or name not in UFUNCS:
            raise NotFollowed(f"numpy.{name} of a random number{' with ' + ', '.join(keywords) if keywords else ''}")
        return UFUNCS[name](*(each.noise if isinstance(each, Unknown) else np.asarray(each, float) for each in inputs))

    def __array_function__(self, function: Any, types: Any, args: Any, keywords: Any) -> Any:
        if function not in FUNCTIONS:
            raise NotFollowed(f"numpy.{function.__name__} of random numbers")
        return FUNCTIONS[function](*args, **keywords)

    def __floor__(self) -> int:
        """The whole part, as of `floor(random() * n)`."""
        if self.noise.kind is not Kind.UNIFORM or self.size != 1:
            raise NotFollowed("the whole part of anything but one uniform is taken")
        one = self.noise.each(np.ravel)
        ends = (float(one.shift[0]), float(one.shift[0] + one.scale[0]))
        whole = math.floor(min(ends))
        while not one.below(whole + 1, equal=False)[0]:
            whole += 1
        return whole

    def __int__(self) -> int:
        if self.noise.kind is Kind.UNIFORM and (self.noise.shift < 0).any():
            raise NotFollowed("int() of a random number that may be negative")
        return self.__floor__()

    def __float__(self) -> float:
        self._no("float()")

    def __bool__(self) -> bool:  # noqa: PLE0304  # it never returns
        self._no("bool()")

    def __index__(self) -> int:  # noqa: PLE0305  # it never returns
        self._no("an index")

    def __round__(self, digits: int = 0) -> Any:
        self._no("round()")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        self._no("the value")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self._no(f"the attribute {name!r}")

    def _no(self, what: str) -> NoReturn:
        raise NotFollowed(f"{what} of {self.noise.kind.value} is asked for; only comparisons and races have branches")

    def _moved(self, change: Callable[[Any], Any]) -> Unknown:
        return Unknown(self.noise.each(change))


def _plain(values: Any) -> Any:
    return values if values.ndim else values[()]


def _two(left: Any, right: Any, name: str) -> None:
    if isinstance(left, Noise) and isinstance(right, Noise):
        raise NotFollowed(f"two random numbers meet in {name}")


def add(left: Any, right: Any) -> Unknown:
    """The sum."""
    _two(left, right, "a sum")
    return Unknown(left.plus(right) if isinstance(left, Noise) else right.plus(left))


def subtract(left: Any, right: Any) -> Unknown:
    """The difference."""
    _two(left, right, "a difference")
    return Unknown(left.plus(-right) if isinstance(left, Noise) else right.times(-1.0).plus(left))


def multiply(left: Any, right: Any) -> Unknown:
    """The product."""
    _two(left, right, "a product")
    return Unknown(left.times(right) if isinstance(left, Noise) else right.times(left))


def divide(left: Any, right: Any) -> Unknown:
    """The quotient."""
    _two(left, right, "a quotient")
    with np.errstate(divide="ignore"):
        return Unknown(left.times(1 / right) if isinstance(left, Noise) else right.inverse().times(left))


def less(left: Any, right: Any, *, equal: bool = False) -> Any:
    """Whether left is below right, or `equal`: each element branches."""
    _two(left, right, "a comparison")
    if isinstance(left, Noise):
        below = left.below(right, equal=equal)
    else:
        below = ~right.below(left, equal=not equal) & ~np.isnan(left)
    return below if below.ndim else bool(below)


def less_equal(left: Any, right: Any) -> Any:
    """Whether left is at most right."""
    return less(left, right, equal=True)


UFUNCS: dict[str, Callable[..., Any]] = {
    "add": add,
    "subtract": subtract,
    "multiply": multiply,
    "divide": divide,
    "negative": lambda x: Unknown(x.times(-1.0)),
    "positive": Unknown,
    "log": lambda x: Unknown(x.log()),
    "exp": lambda x: Unknown(x.exp()),
    "reciprocal": lambda x: Unknown(x.inverse()),
    "less": less,
    "less_equal": less_equal,
    "greater": lambda left, right: less(right, left),
    "greater_equal": lambda left, right: less_equal(right, left),
}
"""What numbers without a value allow."""


def _searchsorted(edges: Any, numbers: Any, side: str = "left", sorter: Any = None) -> Any:
    if sorter is not None or not isinstance(numbers, Unknown):
        raise NotFollowed("numpy.searchsorted with a sorter, or in random numbers")
    return _plain(numbers.noise.search(np.asarray(edges, float), right=side == "right"))


def _where(choice: Any, left: Any, right: Any) -> Unknown:
    first = left.noise if isinstance(left, Unknown) else None
    second = right.noise if isinstance(right, Unknown) else None
    source = (first or second).source  # type: ignore[union-attr]
    parts = [first or fixed(source, left), second or fixed(source, right)]
    return Unknown(joined(parts, lambda pair: np.where(choice, *pair)))


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.argmax: lambda numbers, axis=None: numbers.argmax(axis),
    np.argmin: lambda numbers, axis=None: numbers.argmin(axis),
    np.searchsorted: _searchsorted,
    np.where: _where,
    np.ravel: lambda numbers: numbers.ravel(),
    np.squeeze: lambda numbers: numbers.squeeze(),
}
"""Functions of NumPy that are followed."""
