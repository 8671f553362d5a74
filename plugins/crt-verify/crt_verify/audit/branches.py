"""Follows every branch of code that draws at random: each draw becomes a choice, and each path has its probability."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, SupportsFloat, TypeVar

T = TypeVar("T")

MOST = 1_000_000
"""Paths that are followed at most."""


class NotFollowed(ValueError):
    """Code draws in a way whose branches cannot be followed, so that it has no verdict."""


class Draws:
    """Stands for a random generator: `accept` and `choice` are all that a verifier may draw by."""

    def __init__(self, script: list[tuple[int, list[float]]]) -> None:
        self._script = script
        self.count = 0
        """Draws so far."""
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
        """An index, with the chance of each.

        Raises: NotFollowed if this draw had other chances in a path that went the same way so far.
        """
        if self.count < len(self._script):
            index, before = self._script[self.count]
            if len(before) != len(chances) or max(abs(a - b) for a, b in zip(before, chances, strict=True)) > 1e-9:
                raise NotFollowed(
                    f"expected code that goes the same way once it drew the same; draw {self.count} had the chances "
                    f"{_short(before)}, and now {_short(chances)}: it keeps something from run to run, or draws by "
                    "what is not followed"
                )
        else:
            index, *others = (place for place, chance in enumerate(chances) if chance > 0)
            self._script.append((index, chances))
            self.open.append(others)
        self.count += 1
        self.chance *= chances[index]
        return index


def _short(chances: list[float]) -> str:
    shown = [f"{chance:.4g}" for chance in chances[:6]]
    return f"({', '.join(shown)}{', ...' if len(chances) > 6 else ''})"


class Branches(Generic[T]):
    """All outcomes of a function that draws, each with its probability."""

    def __init__(self, run: Callable[[Draws], T]) -> None:
        self._run = run

    def __iter__(self) -> Iterator[tuple[T, float]]:
        """Runs the function once for each path; one that draws the same way must go the same way.

        Raises: NotFollowed if it does not; ValueError if there are more than `MOST` paths.
        """
        scripts: list[list[tuple[int, list[float]]]] = [[]]
        for _ in range(MOST):
            if not scripts:
                return
            script = scripts.pop()
            known = len(script)
            draws = Draws(script)
            outcome = self._run(draws)
            if draws.count < known:
                raise NotFollowed(f"expected {known} draws, as in a path that went the same way, got {draws.count}")
            for depth, others in enumerate(draws.open, start=known):
                chances = script[depth][1]
                scripts += [[*script[:depth], (other, chances)] for other in others]
            yield outcome, draws.chance
        raise ValueError(f"expected at most {MOST} paths")
