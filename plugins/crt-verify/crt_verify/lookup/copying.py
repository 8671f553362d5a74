"""Follows a text that copies an earlier part of itself with edits: where the copy stands, and what was replaced.

An edit breaks a copy: the id that comes is not the one in the source. The place is kept as an anchor, near which the
copy is expected to go on. Once it does, the ids of the source that were left out and those that came in their place are
remembered as a replacement, which is expected wherever the source has those ids again: a renamed variable.
"""

from __future__ import annotations

from typing import NamedTuple

from crt_verify.lookup.history import History

ANCHORS = 4
"""Places of broken copies that are kept."""
AGE = 16
"""Ids after which an anchor is dropped."""
NEAR = 24
"""Ids of the source behind an anchor within which a match is the same copy that goes on."""
EDIT = 12
"""Ids of a replacement at most, on either side."""


class Anchor(NamedTuple):
    """A place at which a copy broke."""

    source: int
    """Index of the id that did not come."""
    at: int
    """Index of the id that came instead."""


class Replacement(NamedTuple):
    """Ids of a source, and what came in their place."""

    old: tuple[int, ...]
    new: tuple[int, ...]


class Copying:
    """A text, the place that its end copies, and its edits."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.place: int | None = None
        """Index of the id that comes next if the copy goes on; None: nothing is copied."""
        self.run = 0
        """Ids that were copied without an edit."""
        self.anchors: list[Anchor] = []
        """The most recent first."""
        self.replacements: dict[int, Replacement] = {}
        """By the first id that was replaced."""
        self.pending: tuple[int, ...] = ()
        """What is left of a replacement, which comes before the id at `place`."""

    def replaced(self, place: int) -> Replacement | None:
        """The replacement that was made before of what stands at a place."""
        ids = self.history.ids
        known = self.replacements.get(ids[place]) if place < len(ids) else None
        return known if known and tuple(ids[place : place + len(known.old)]) == known.old else None

    def append(self, x: int) -> None:
        """Goes on by one id."""
        history = self.history
        if self.place is not None:
            if not self.pending and history.ids[self.place] != x and (known := self.replaced(self.place)):
                self.pending, self.place = known.new, self.place + len(known.old)
            expected = self.pending[:1] or tuple(history.ids[self.place : self.place + 1])  # none beyond the end
            if expected == (x,):
                self.place, self.pending, self.run = self.place + (not self.pending), self.pending[1:], self.run + 1
                history.append(x)
                return
            if self.run > 1:
                self.anchors.insert(0, Anchor(self.place, len(history)))
                del self.anchors[ANCHORS:]
        self.place, self.pending, self.run = None, (), 0
        history.append(x)
        self.anchors = [anchor for anchor in self.anchors if len(history) - anchor.at <= AGE]
        self._find()

    def _find(self) -> None:
        """Looks for the place that the end of the text copies: near an anchor, or where the longest match is."""
        matches = self.history.matches(64)
        for index, anchor in enumerate(self.anchors):
            near = [
                match
                for match in matches
                if anchor.source < match.place <= anchor.source + NEAR and match.place < anchor.at
            ]
            if not near:
                continue
            since = len(self.history) - anchor.at
            best = max(near, key=lambda match: (min(match.length, since), -abs(match.place - anchor.source - since)))
            if best.length > 1 or best.place - anchor.source <= 2:
                self._resume(index, best.place, min(best.length, since))
                return
        if matches and matches[0].length > 1:
            self.place, self.run = matches[0].place, matches[0].length

    def _resume(self, index: int, place: int, common: int) -> None:
        """Goes on at `place` with a copy that broke at an anchor, of which the last `common` ids agree again."""
        anchor = self.anchors.pop(index)
        ids = self.history.ids
        old = tuple(ids[anchor.source : max(place - common, anchor.source)])
        new = tuple(ids[anchor.at : len(ids) - common])
        if old and max(len(old), len(new)) <= EDIT and old != new:
            self.replacements[old[0]] = Replacement(old, new)
        self.place, self.run = place, common
