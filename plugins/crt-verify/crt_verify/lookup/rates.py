"""How often guesses of each kind came true, learned while a text goes on."""

from __future__ import annotations

from bisect import bisect_right
from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["match", "copy", "anchor", "replace", "corpus"]

STEPS = (1, 2, 3, 4, 6, 9, 14, 20)
"""Levels share a rate from one of these to the next."""
START = (0.3, 0.5, 0.65, 0.78, 0.85, 0.9, 0.93, 0.95)
"""First rates of matches and copies, by level."""
ANCHOR = 0.08
REPLACE = 0.75
"""First rates of the ids behind an anchor, and of a replacement that was seen before."""
WEIGHT = 4.0
"""Trials that a first rate counts as."""
KEPT = 0.96
"""What older trials count after each new one."""

TRUSTED = 6.0
"""Trials that count as right half the time, as often as expected, before any of a text."""
RECENT = 0.95
"""What older ones count after each new one."""


class Bucket(NamedTuple):
    """Guesses that share a rate."""

    kind: Kind
    step: int
    """Index into `STEPS`; of an anchor, which of its guesses it is."""


def bucket(kind: Kind, level: int) -> Bucket:
    """The bucket of a guess that agrees with `level` ids before it."""
    return Bucket(kind, bisect_right(STEPS, max(level, 1)) - 1)


class Rates:
    """Rates by bucket."""

    def __init__(self) -> None:
        self._counts: dict[Bucket, tuple[float, float]] = {}

    def __getitem__(self, bucket: Bucket) -> float:
        """The share of guesses that came true, first rates counted in."""
        right, trials = self._counts.get(bucket, (0.0, 0.0))
        return (right + WEIGHT * _first(bucket)) / (trials + WEIGHT)

    def note(self, bucket: Bucket, right: bool) -> None:
        """Counts a guess."""
        before, trials = self._counts.get(bucket, (0.0, 0.0))
        self._counts[bucket] = KEPT * before + right, KEPT * trials + 1


def _first(bucket: Bucket) -> float:
    if bucket.kind == "anchor":
        return ANCHOR
    return REPLACE if bucket.kind == "replace" else START[bucket.step]


class Trust:
    """How often drafted ids come, over how often they were expected to, of late: at most 1.

    Chances are learned apart for each kind of guess and are too high just after a text changes its kind.
    """

    def __init__(self) -> None:
        self._expected = self._came = TRUSTED / 2

    @property
    def factor(self) -> float:
        """What the chance of an id given those before it is multiplied by."""
        return min(self._came / self._expected, 1.0)

    def note(self, expected: float, came: bool) -> None:
        """Counts the children of a node that was reached: the chance that one of them comes, and whether one did."""
        start = (1 - RECENT) * TRUSTED / 2
        self._expected = RECENT * self._expected + start + expected
        self._came = RECENT * self._came + start + came
