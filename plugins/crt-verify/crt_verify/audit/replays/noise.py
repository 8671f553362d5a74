"""Arrays of random numbers that have no value yet: what code does to them is kept, until it asks how they compare.

A number is shift + scale * h, where h is a variable u that is uniform on [0, 1), the clock E = -log u, log E, or 1 / E.
Arithmetic with constants, logarithms and exponentials keep that form or are refused; so Gumbel noise is
-log(-log(u)), and the noise of an exponential race weight / E.
"""

from __future__ import annotations

import enum
import math
from typing import Any

import attrs
import numpy as np

from crt_verify.audit.branches import NotFollowed
from crt_verify.audit.replays.source import Source


class Kind(enum.Enum):
    """What h is."""

    UNIFORM = "a uniform"
    CLOCK = "an exponential number"
    LOG = "the logarithm of an exponential number"
    INVERSE = "the inverse of an exponential number"


@attrs.frozen(eq=False)
class Noise:
    """Random numbers: arrays of one shape; a `variable` of -1 has no h, so that its number is its shift."""

    source: Source
    kind: Kind
    variable: Any
    shift: Any
    scale: Any

    @classmethod
    def uniform(cls, source: Source, shape: tuple[int, ...]) -> Noise:
        """New uniforms on [0, 1)."""
        return cls(source, Kind.UNIFORM, source.fresh(shape), np.zeros(shape), np.ones(shape))

    @classmethod
    def exponential(cls, source: Source, shape: tuple[int, ...]) -> Noise:
        """New exponential numbers of rate 1."""
        return cls(source, Kind.CLOCK, source.fresh(shape), np.zeros(shape), np.ones(shape))

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return self.variable.shape  # type: ignore[no-any-return]

    @property
    def constant(self) -> bool:
        """Whether no number is random."""
        return bool((self.variable < 0).all())

    def each(self, change: Any) -> Noise:
        """A function of arrays that moves elements, on all that this has."""
        return self._with(*(change(part) for part in (self.variable, self.shift, self.scale)))

    def plus(self, other: Any) -> Noise:
        """The sum with constants."""
        variable, shift, scale, other = np.broadcast_arrays(self.variable, self.shift, self.scale, other)
        return self._with(variable, shift + other, scale)

    def times(self, other: Any) -> Noise:
        """The product with constants."""
        variable, shift, scale, other = np.broadcast_arrays(self.variable, self.shift, self.scale, other)
        with np.errstate(invalid="ignore"):
            shift = np.where((shift == 0) & (variable >= 0), 0.0, shift * other)
            return self._with(variable, shift, np.where(variable < 0, 0.0, scale * other))

    def inverse(self) -> Noise:
        """1 over each.

        Raises: NotFollowed unless it is of the form scale * E or scale / E.
        """
        kind = {Kind.CLOCK: Kind.INVERSE, Kind.INVERSE: Kind.CLOCK}.get(self.kind)
        if kind is None or self.shift.any() or (self.variable < 0).any():
            raise NotFollowed(f"a number is divided by {self.kind.value}")
        with np.errstate(divide="ignore"):
            return attrs.evolve(self, kind=kind, scale=1 / self.scale)

    def log(self) -> Noise:
        """The logarithm of each.

        Raises: NotFollowed unless it is of the form scale * u, scale * E or scale / E.
        """
        to = {Kind.UNIFORM: (Kind.CLOCK, -1), Kind.CLOCK: (Kind.LOG, 1), Kind.INVERSE: (Kind.LOG, -1)}
        if self.kind not in to or self.shift.any() or (self.scale < 0).any() or (self.variable < 0).any():
            raise NotFollowed(f"the logarithm of {self.kind.value} plus or minus a number is taken")
        kind, sign = to[self.kind]
        with np.errstate(divide="ignore"):
            return attrs.evolve(self, kind=kind, shift=np.log(self.scale), scale=np.full(self.shape, float(sign)))

    def exp(self) -> Noise:
        """The exponential of each.

        Raises: NotFollowed unless it is of the form shift - E, shift + log E or shift - log E.
        """
        to = {(Kind.CLOCK, -1): Kind.UNIFORM, (Kind.LOG, 1): Kind.CLOCK, (Kind.LOG, -1): Kind.INVERSE}
        signs = set(np.unique(self.scale).tolist())
        kind = to.get((self.kind, int(next(iter(signs))))) if signs in ({1.0}, {-1.0}) else None
        if kind is None:
            raise NotFollowed(f"the exponential of {self.kind.value} is taken")
        return self._with(self.variable, np.zeros(self.shape), np.exp(self.shift), kind)

    def below(self, bound: Any, *, equal: bool) -> Any:
        """Whether each is below a bound, or `equal` to it, which has no chance: a boolean array; each one branches.

        A bound that is NaN is above nothing.
        """
        variable, shift, scale, bound = np.broadcast_arrays(self.variable, self.shift, self.scale, bound)
        columns = [part.ravel().tolist() for part in (variable, shift, scale, np.asarray(bound, float))]
        outcomes = [self._below(*each, equal=equal) for each in zip(*columns, strict=True)]
        return np.array(outcomes, dtype=bool).reshape(variable.shape)

    def _below(self, variable: int, shift: float, scale: float, bound: float, *, equal: bool) -> bool:
        if math.isnan(bound) or math.isnan(shift) or math.isnan(scale):
            return False
        if variable < 0 or scale == 0 or math.isinf(shift):
            return shift <= bound if equal else shift < bound
        at = (bound - shift) / scale
        rising = scale > 0  # in h
        if self.kind is Kind.UNIFORM:
            edge = at
        elif self.kind is Kind.CLOCK:
            edge, rising = math.exp(-max(at, 0.0)), not rising
        elif self.kind is Kind.LOG:
            edge, rising = math.exp(-math.exp(min(at, 700.0))), not rising
        else:
            edge = math.exp(-1 / at) if at > 0 else 0.0
        below = self.source.below(variable, edge)
        return below if rising else not below

    def search(self, edges: Any, *, right: bool) -> Any:
        """How many of the rising `edges` are below each number, int64; `right` counts those that are equal."""
        flat = self.each(np.ravel)
        counts = []
        for place in range(flat.variable.size):
            one, count = flat.each(lambda part, place=place: part[place]), 0
            while count < len(edges) and not one.below(edges[count], equal=not right):
                count += 1
            counts.append(count)
        return np.array(counts, np.int64).reshape(self.shape)

    def arg(self, axis: int | None, *, largest: bool) -> Any:
        """The place of the largest or smallest number along an axis, or of all: the draw of a race, int64.

        Raises: NotFollowed if it is no race of clocks.
        """
        whole = self.each(np.ravel) if axis is None else self.each(lambda part: np.moveaxis(part, axis, -1))
        if largest:
            whole = whole.times(-1.0)
        size = whole.shape[-1]
        groups = [part.reshape(-1, size) for part in (whole.variable, whole.shift, whole.scale)]
        winners = [self._first(*group) for group in zip(*groups, strict=True)]
        return np.array(winners, np.int64).reshape(whole.shape[:-1])

    def _first(self, variable: Any, shift: Any, scale: Any) -> int:
        """The place of the smallest."""
        random = variable >= 0
        if random.all() or (shift[~random] == math.inf).all():
            places = random.nonzero()[0]
            rates = self._rates(shift[random], scale[random])
            if rates is not None:
                return int(places[self.source.first(variable[random], rates)])
        raise NotFollowed(f"the largest or smallest is taken of {self.kind.value} and others, which is no race")

    def _rates(self, shift: Any, scale: Any) -> Any:
        """The rates of clocks whose first is the smallest number; None: there are none."""
        finite = np.isfinite(shift)
        with np.errstate(divide="ignore", over="ignore"):
            if self.kind is Kind.CLOCK and (shift == shift[0]).all() and finite.all() and (scale > 0).all():
                return 1 / scale
            if self.kind is Kind.UNIFORM and (shift == shift[0]).all() and (scale == scale[0]).all() and scale[0] < 0:
                return np.ones(len(scale))  # the largest u is the first of -log u
            if self.kind is Kind.INVERSE and not shift.any() and (scale <= 0).all():
                return -scale
            if self.kind is Kind.LOG and scale[0] > 0 and (scale == scale[0]).all() and finite.any():
                return np.exp((shift[finite].min() - shift) / scale[0])
        return None

    def _with(self, variable: Any, shift: Any, scale: Any, kind: Kind | None = None) -> Noise:
        return Noise(self.source, kind or self.kind, variable, shift, scale)


def joined(parts: list[Noise], join: Any) -> Noise:
    """A function of several arrays, on all that the parts have.

    Raises: NotFollowed if random numbers of different kinds meet.
    """
    kinds = {part.kind for part in parts if not part.constant}
    if len(kinds) > 1:
        raise NotFollowed(" and ".join(sorted(kind.value for kind in kinds)) + " are put in one array")
    kind = kinds.pop() if kinds else parts[0].kind
    columns = zip(*((part.variable, part.shift, part.scale) for part in parts), strict=True)
    return Noise(parts[0].source, kind, *(join(list(column)) for column in columns))


def fixed(source: Source, values: Any) -> Noise:
    """Constants in the form of random numbers."""
    values = np.asarray(values, float)
    return Noise(source, Kind.UNIFORM, np.full(values.shape, -1), values, np.zeros(values.shape))
