"""When a training saves a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from crt_run.ranks.alone import Together

SHARE = 0.01
"""The share of the time that saving may take, where no number of steps is set."""
FIRST = 10.0
"""Seconds from the start to the first checkpoint there."""
LOOK = 10
"""Steps between two looks at the clock there."""


class Saving:
    """The steps after which a training saves: every so many, or by what saving costs."""

    def __init__(self, every: int, group: Together) -> None:
        """`every` is a number of steps; 0: by the cost. Of ranks the first one's clock counts."""
        self.every = every
        self._group = group
        self._next = time.monotonic() + FIRST

    def due(self, step: int) -> bool:
        """True if a checkpoint is due after a step."""
        if self.every:
            return step % self.every == 0
        return step % LOOK == 0 and self._group.any(self._group.first and time.monotonic() >= self._next)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Inside, a checkpoint is saved."""
        began = time.monotonic()
        yield
        ended = time.monotonic()
        self._next = ended + (ended - began) / SHARE
