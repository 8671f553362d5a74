"""Follows every branch of code that draws at random: each draw becomes a choice, and each path has its probability."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, SupportsFloat, TypeVar

T = TypeVar("T")

MOST = 1_000_000
"""Paths that are followed at most."""


class Draws:
    """Stands for a random generator: `accept` and `choice` are all that a verifier may draw by."""

    def __init__(self, script: list[int]) -> None:
        self._script = script
        self._at = 0
        self.chance = 1.0
        """The probability of what was drawn so far."""
        self.open: list[list[int]] = []
        """Of each draw beyond the script, the other outcomes that are possible."""

    def accept(self, probability: SupportsFloat) -> bool:
        """True with a probability; always from 1 on, never up to 0.

        Raises: ValueError if it is NaN.
        """
        value = float(probability)
        if math.isnan(value):
            raise ValueError("expected a probability, got NaN")
        value = min(max(value, 0.0), 1.0)
        return bool(self.draw([1 - value, value]))

    def choice(self, weights: Iterable[SupportsFloat]) -> int:
        """An index, as likely as its weight; weights need not sum to 1.

        Raises: ValueError if one is negative, infinite or NaN, or all are 0.
        """
        values = [float(each) for each in weights]
        total = math.fsum(values)
        if not all(each >= 0 for each in values) or not 0 < total < math.inf:
            raise ValueError(f"expected weights that are not negative and not all 0, got {values}")
        return self.draw([each / total for each in values])

    def draw(self, chances: list[float]) -> int:
        """An index, with the chance of each."""
        if self._at < len(self._script):
            index = self._script[self._at]
        else:
            index, *others = (place for place, chance in enumerate(chances) if chance > 0)
            self._script.append(index)
            self.open.append(others)
        self._at += 1
        self.chance *= chances[index]
        return index


class Branches(Generic[T]):
    """All outcomes of a function that draws, each with its probability."""

    def __init__(self, run: Callable[[Draws], T]) -> None:
        self._run = run

    def __iter__(self) -> Iterator[tuple[T, float]]:
        """Runs the function once for each path; one that draws the same way must go the same way.

        Raises: ValueError if there are more than `MOST` paths.
        """
        scripts: list[list[int]] = [[]]
        for _ in range(MOST):
            if not scripts:
                return
            script = scripts.pop()
            known = len(script)
            draws = Draws(script)
            outcome = self._run(draws)
            for depth, others in enumerate(draws.open, start=known):
                scripts += [[*script[:depth], other] for other in others]
            yield outcome, draws.chance
        raise ValueError(f"expected at most {MOST} paths")
