"""Stands for NumPy's generators: `numpy.random`'s functions, `default_rng` and `RandomState`, by their branches."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from crt_verify.audit.branches import NotFollowed
from crt_verify.audit.replays.arrays import Unknown
from crt_verify.audit.replays.noise import Noise
from crt_verify.audit.replays.source import Source

KEPT = {"default_rng", "Generator", "RandomState", "SeedSequence"}
"""What numpy.random has besides draws; bit generators may be made."""


class Followed:
    """A generator whose draws branch; methods are named as those of Generator and of RandomState."""

    source: Source
    """Of the path that is followed; set on a subclass."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Takes any seed, and needs none."""

    def seed(self, *_: Any) -> None:
        """Does nothing: every branch is followed, whatever the seed."""

    def random(self, size: Any = None) -> Any:
        """Uniforms on [0, 1)."""
        return Unknown(Noise.uniform(self.source, _shape(size)))

    random_sample = sample = ranf = random

    def rand(self, *shape: int) -> Any:
        """Uniforms on [0, 1)."""
        return self.random(shape)

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        """Uniforms on [low, high)."""
        shape = np.broadcast_shapes(np.shape(low), np.shape(high)) if size is None else size
        width = np.asarray(high, float) - np.asarray(low, float)
        return self.random(shape) * width + np.asarray(low, float)

    def exponential(self, scale: Any = 1.0, size: Any = None) -> Any:
        """Exponential numbers."""
        shape = np.shape(scale) if size is None else _shape(size)
        return Unknown(Noise.exponential(self.source, shape)) * np.asarray(scale, float)

    def standard_exponential(self, size: Any = None) -> Any:
        """Exponential numbers of rate 1."""
        return self.exponential(size=size)

    def gumbel(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        """Gumbel noise."""
        shape = np.broadcast_shapes(np.shape(loc), np.shape(scale)) if size is None else _shape(size)
        return Unknown(Noise.exponential(self.source, shape).log()) * -np.asarray(scale, float) + loc

    def integers(self, low: Any, high: Any = None, size: Any = None, dtype: Any = int, endpoint: bool = False) -> Any:
        """Integers below a bound, each as likely."""
        low, high = (0, low) if high is None else (low, high)
        width = int(high) - int(low) + endpoint
        return self._each(size, lambda: int(low) + self.source.draws.choice([1.0] * width), dtype)

    def randint(self, low: Any, high: Any = None, size: Any = None, dtype: Any = int) -> Any:
        """Integers below a bound, each as likely."""
        return self.integers(low, high, size, dtype)

    def choice(
        self, a: Any, size: Any = None, replace: bool = True, p: Any = None, axis: int = 0, shuffle: bool = True
    ) -> Any:
        """Elements of an array, as likely as p says.

        Raises: ValueError if there is not one of p for each element.
        """
        values = np.arange(a) if np.ndim(a) == 0 else np.asarray(a)
        weights = np.ones(values.shape[axis]) if p is None else np.asarray(p, float)
        if len(weights) != values.shape[axis]:
            raise ValueError(f"expected one of p for each of a, got {len(weights)} for {values.shape[axis]}")
        left = weights.copy()

        def one() -> int:
            place = self.source.draws.choice(left)
            if not replace:
                left[place] = 0
            return place

        places = self._each(size, one, int)
        return np.take(values, places, axis)

    def multinomial(self, n: int, pvals: Any, size: Any = None) -> Any:
        """Counts of n draws.

        Raises: NotFollowed if several rows are asked for.
        """
        if size is not None or np.ndim(n):
            raise NotFollowed("numpy.random.multinomial of several rows")
        counts = np.zeros(len(pvals), int)
        for _ in range(int(n)):
            counts[self.source.draws.choice(pvals)] += 1
        return counts

    def binomial(self, n: int, p: Any, size: Any = None) -> Any:
        """How many of n draws succeed.

        Raises: NotFollowed if n or p are several.
        """
        if np.ndim(n) or np.ndim(p):
            raise NotFollowed("numpy.random.binomial of arrays")
        return self._each(size, lambda: sum(self.source.draws.accept(p) for _ in range(int(n))), int)

    def permutation(self, x: Any, axis: int = 0) -> Any:
        """A random order."""
        values = np.arange(x) if np.ndim(x) == 0 else np.asarray(x)
        return self.choice(values, size=values.shape[axis], replace=False, axis=axis)

    def shuffle(self, x: Any, axis: int = 0) -> None:
        """Puts a list or an array in a random order."""
        places = self.permutation(np.shape(x)[axis] if isinstance(x, np.ndarray) else len(x))
        x[:] = np.take(x, places, axis) if isinstance(x, np.ndarray) else [x[place] for place in places]

    def _each(self, size: Any, one: Any, dtype: Any) -> Any:
        if size is None:
            return np.asarray(one(), dtype)[()]
        shape = _shape(size)
        return np.array([one() for _ in range(int(np.prod(shape)))], dtype).reshape(shape)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotFollowed(f"numpy.random's {name} is no draw that is followed")


@contextlib.contextmanager
def numpy_draws(source: Source) -> Iterator[None]:
    """Puts followed draws in the place of those of `numpy.random`."""
    kind = type("Followed", (Followed,), {"source": source})
    stand_in = kind()
    own = {name: getattr(np.random, name) for name in _names()}
    try:
        for name in own:
            if name in ("default_rng", "Generator", "RandomState"):
                setattr(np.random, name, kind)
            elif name not in KEPT:
                setattr(np.random, name, getattr(stand_in, name) if hasattr(Followed, name) else _refused(name))
        yield
    finally:
        for name, function in own.items():
            setattr(np.random, name, function)


@cache
def _names() -> list[str]:
    """What numpy.random has, without its bit generators, which draw nothing themselves."""
    public = {name: getattr(np.random, name) for name in dir(np.random) if not name.startswith("_")}
    bits = np.random.BitGenerator
    return [
        name
        for name, value in public.items()
        if callable(value) and not (isinstance(value, type) and issubclass(value, bits))
    ]


def _refused(name: str) -> Any:
    def refuse(*_: Any, **__: Any) -> Any:
        raise NotFollowed(f"numpy.random.{name} is no draw that is followed")

    return refuse


def _shape(size: Any) -> tuple[int, ...]:
    if size is None:
        return ()
    return (int(size),) if np.ndim(size) == 0 else tuple(int(each) for each in size)
