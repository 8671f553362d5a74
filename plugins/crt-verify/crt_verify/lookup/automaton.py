"""A suffix automaton of a text that grows: which ids followed any of its substrings, and how often.

Source: Blumer et al. (1985), "The smallest automaton recognizing the subwords of a text".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

DEPTH = 32
"""Substrings up to this length are counted."""
ROOT = 0
END = -1
"""What stands between two texts; it follows, and nothing follows it."""


class Place(NamedTuple):
    """A substring: the state that it is in, and its length."""

    state: int = ROOT
    length: int = 0


class Automaton:
    """The substrings of a text; appending an id takes few steps, `DEPTH` for counts at most.

    A state stands for the substrings that end at the same places: the longest, of `lengths[state]` ids, and its
    suffixes down to one id more than the longest of `links[state]`.
    """

    def __init__(self, ids: Iterable[int] = ()) -> None:
        self.following: list[dict[int, int]] = [{}]
        """The state that each id leads to."""
        self.links = [-1]
        """The state of the longest suffix that ends elsewhere too."""
        self.lengths = [0]
        self.counts = [0]
        """Places at which the substrings of a state end, of those of at most `DEPTH` ids."""
        self.end = Place()
        """The last ids of the text, `DEPTH` at most."""
        self._last = ROOT
        for x in ids:
            self.append(x)

    def append(self, x: int) -> None:
        """Goes on by one id, or by `END`."""
        self._extend(x)
        self.end = place = self.after(self.end, x)
        state = place.state
        while state > ROOT:
            self.counts[state] += 1
            state = self.links[state]

    def after(self, place: Place, x: int) -> Place:
        """The longest suffix of the substring and `x`, of at most `DEPTH` ids, that is in the text."""
        state, length = self._inside(place)
        while x not in self.following[state]:
            if state == ROOT:
                return Place()
            state = self.links[state]
            length = self.lengths[state]
        return self._inside(Place(self.following[state][x], min(length + 1, DEPTH)))

    def contexts(self, place: Place) -> Iterator[Place]:
        """The suffixes that ids followed in the text, the longest of each state, from long to short; not the empty one.

        Those that followed are `following[state]`; the counts of their states are how often.
        """
        state, length = self._inside(place)
        while state > ROOT:
            if self.following[state] and self.lengths[self.links[state]] + 1 < DEPTH:
                yield Place(state, length)
            state = self.links[state]
            length = self.lengths[state]

    def _inside(self, place: Place) -> Place:
        """The place with the state that its substring is in now: a state is split as the text goes on."""
        state, length = place
        while state > ROOT and self.lengths[self.links[state]] >= length:
            state = self.links[state]
        return Place(state, length)

    def _extend(self, x: int) -> None:
        new, at = self._add({}, self.lengths[self._last] + 1), self._last
        self._last = new
        while at >= 0 and x not in self.following[at]:
            self.following[at][x] = new
            at = self.links[at]
        if at < 0:
            self.links[new] = ROOT
            return
        there = self.following[at][x]
        if self.lengths[at] + 1 == self.lengths[there]:
            self.links[new] = there
            return
        short = self._add(dict(self.following[there]), self.lengths[at] + 1)
        self.links[short], self.counts[short] = self.links[there], self.counts[there]
        self.links[there] = self.links[new] = short
        while at >= 0 and self.following[at].get(x) == there:
            self.following[at][x] = short
            at = self.links[at]

    def _add(self, following: dict[int, int], length: int) -> int:
        self.following.append(following)
        self.lengths.append(length)
        self.links.append(ROOT)
        self.counts.append(0)
        return len(self.lengths) - 1
