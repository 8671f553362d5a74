"""Uniforms and exponential clocks of one path, with what is known of each so far."""

from __future__ import annotations

from typing import Any

import numpy as np

from crt_verify.audit.branches import Draws, NotFollowed
from crt_verify.audit.replays.races import Race


class Source:
    """Makes variables, each an independent uniform on [0, 1), and draws what code asks of them.

    A comparison branches by the chance that it has given all before, and narrows the interval that the variable lies
    in; so two comparisons of one variable have their joint law. A variable u is also the clock -log u.
    """

    def __init__(self, draws: Draws) -> None:
        self.draws = draws
        self._low: list[float] = []
        self._high: list[float] = []
        self._races: dict[int, Race] = {}

    def fresh(self, shape: tuple[int, ...]) -> Any:
        """The numbers of new variables, int64 of a shape."""
        count, start = int(np.prod(shape)), len(self._low)
        self._low += [0.0] * count
        self._high += [1.0] * count
        return np.arange(start, start + count).reshape(shape)

    def below(self, variable: int, bound: float) -> bool:
        """Whether a variable is below a bound.

        Raises: NotFollowed if it was in a race.
        """
        if variable in self._races:
            raise NotFollowed("a random number was first in a race (argmax or argmin), and is then compared on its own")
        low, high = self._low[variable], self._high[variable]
        at = min(max(bound, low), high)
        if self.draws.accept((at - low) / (high - low)):
            self._high[variable] = at
            return True
        self._low[variable] = at
        return False

    def first(self, variables: Any, rates: Any) -> int:
        """The place of the clock that rings first, each at its rate.

        Clocks may race a second time, at other rates: that is noise which two draws share.
        Raises: NotFollowed if they raced twice before, or in different races, or were compared; ValueError if no rate
        is positive.
        """
        numbers = [int(each) for each in variables]
        if len(set(numbers)) < len(numbers):
            raise NotFollowed("one random number stands for several in a race (argmax or argmin)")
        races = {id(self._races[each]): self._races[each] for each in numbers if each in self._races}
        if len(races) > 1:
            raise NotFollowed("random numbers of different races (argmax or argmin) are in one race")
        if any((self._low[each], self._high[each]) != (0.0, 1.0) for each in numbers):
            raise NotFollowed("random numbers that were compared are then in a race (argmax or argmin)")
        (race,) = races.values() if races else (Race(),)
        chances = race.enter(dict(zip(numbers, np.asarray(rates, float).tolist(), strict=True)))
        winner = list(chances)[self.draws.choice(chances.values())]
        race.won(winner)
        self._races |= dict.fromkeys(numbers, race)
        return numbers.index(winner)
