"""Races of exponential clocks: one has the law of a categorical draw, and a second of the same clocks depends on it."""

from __future__ import annotations

import itertools
import math

from crt_verify.audit.branches import NotFollowed


class Race:
    """Clocks, each an independent exponential E; in a race at rates r, the clock with the least E / r rings first."""

    def __init__(self) -> None:
        self._rates: list[dict[int, float]] = []
        self._winners: list[int] = []

    def enter(self, rates: dict[int, float]) -> dict[int, float]:
        """The chance of each clock to ring first at these rates, given the races before; 0 where it cannot.

        Raises: ValueError if no rate is positive, or one is negative, infinite or NaN; NotFollowed if it is a third
        race at rates of its own.
        """
        if not all(0 <= rate < math.inf for rate in rates.values()) or not any(rates.values()):
            raise ValueError(f"expected a race at rates of which one is positive, got {list(rates.values())}")
        for before, winner in zip(self._rates, self._winners, strict=True):
            if _proportional(before, rates):
                chances = {clock: float(clock == winner) for clock in rates}
                break
        else:
            if len(self._rates) > 1:
                raise NotFollowed("the same random numbers are in a third race (argmax or argmin)")
            chances = rates if not self._rates else second(self._rates[0], self._winners[0], rates)
        self._rates.append(rates)
        return chances

    def won(self, clock: int) -> None:
        """Records the first clock of the race that was entered last."""
        self._winners.append(clock)


def second(first: dict[int, float], x: int, rates: dict[int, float]) -> dict[int, float]:
    """The weight of each clock y to be first in a second race of the same clocks, if x was first in the first.

    x first means that E_j >= c_j E_x with c_j = first_j / first_x; y first that E_j >= d_j E_y with d_j = rates_j /
    rates_y. With E_y = s E_x, and E_x integrated out, what is left is the integral of 1 / (1 + s + sum_j max(c_j,
    d_j s))^2 over s from c_y to 1 / d_x, whose pieces are rational.
    """
    clocks = first.keys() | rates.keys()
    c = {j: first.get(j, 0.0) / first[x] for j in clocks}
    weights = {}
    for y, rate in rates.items():
        if rate == 0:
            weights[y] = 0.0
            continue
        d = {j: rates.get(j, 0.0) / rate for j in clocks}
        if y == x:
            weights[y] = 1 / (1 + math.fsum(max(c[j], d[j]) for j in clocks if j != x))
            continue
        start, stop = c[y], 1 / d[x] if d[x] > 0 else math.inf
        others = [j for j in clocks if j not in (x, y)]
        weights[y] = _integral([(c[j], d[j]) for j in others], start, stop) if start < stop else 0.0
    return weights


def _integral(pairs: list[tuple[float, float]], start: float, stop: float) -> float:
    """The integral of 1 / (1 + s + sum max(c, d s))^2 over s."""
    inner = {c / d for c, d in pairs if d > 0 and start < c / d < stop}
    edges = [start, *sorted(inner), stop]
    total = 0.0
    for low, high in itertools.pairwise(edges):
        middle = (low + high) / 2 if high < math.inf else low + 1
        level = 1 + math.fsum(c for c, d in pairs if c >= d * middle)
        slope = 1 + math.fsum(d for c, d in pairs if c < d * middle)
        end = 0.0 if high == math.inf else 1 / (level + slope * high)
        total += (1 / (level + slope * low) - end) / slope
    return total


def _proportional(one: dict[int, float], other: dict[int, float]) -> bool:
    if one.keys() != other.keys():
        return False
    a, b = sum(one.values()), sum(other.values())
    return all(math.isclose(one[clock] / a, other[clock] / b, rel_tol=1e-12, abs_tol=1e-15) for clock in one)
