"""The text of one row, and where its end stood before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

LONGEST = 32
"""Ids that are compared at most; longer matches count as this long."""
RECENT = 128
"""Places of the last id that are looked at, the most recent ones."""


class Match(NamedTuple):
    """A place whose ids before it are those at the end of the text."""

    place: int
    """Index of the id that followed there."""
    length: int
    """How many ids agree, up to `LONGEST`."""


class History:
    """Ids so far, with an index of where each stands."""

    def __init__(self, ids: Iterable[int] = ()) -> None:
        self.ids: list[int] = []
        self._after: defaultdict[int, list[int]] = defaultdict(list)
        for x in ids:
            self.append(x)

    def __len__(self) -> int:
        """Ids so far."""
        return len(self.ids)

    def append(self, x: int) -> None:
        """Goes on by one id."""
        self.ids.append(x)
        self._after[x].append(len(self.ids))

    def matches(self, most: int) -> list[Match]:
        """The longest matches of the end of the text, later ones first among equals."""
        ids, end = self.ids, len(self.ids)
        if not ids:
            return []
        matches = []
        for place in self._after[ids[-1]][-2 : -2 - RECENT : -1]:  # the last one is the end itself
            length, reach = 1, min(place, LONGEST)
            while length < reach and ids[place - 1 - length] == ids[end - 1 - length]:
                length += 1
            matches.append(Match(place, length))
        return sorted(matches, key=lambda match: (-match.length, -match.place))[:most]
