"""How the time that a user gives is spent: half of it on texts, the rest on training."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

Clock: TypeAlias = Callable[[], float]
"""Returns seconds since any moment."""

TEXTS = 0.5
"""Share of the time that is for texts."""


class Watch:
    """Seconds that a phase has taken, of all processes that worked on it."""

    def __init__(self, used: float, clock: Clock = time.monotonic) -> None:
        self._before, self._clock = used, clock
        self._began = clock()

    @property
    def used(self) -> float:
        """Seconds up to now."""
        return self._before + self._clock() - self._began
