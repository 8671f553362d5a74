"""Drafts by how often ids followed the end of the text, in the text itself and in others.

The longest suffix that occurred before says what comes next by the counts of what followed it; with the chance that
none of that comes, the next shorter suffix says it of what did not follow the longer ones, as in prediction by partial
matching. How often a suffix of some length is right is learned while the text goes on.
Source: Cleary and Witten (1984), prediction by partial matching; Oliaro et al. (2024), arXiv:2411.04975, for drafts by
suffixes of earlier outputs.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

from crt_verify.lookup.automaton import END, Automaton, Place
from crt_verify.lookup.growth import LEAST, Guess, Node, grow, walked
from crt_verify.lookup.rates import Bucket, Rates, bucket

CONTEXTS = 6
"""Suffixes that a node is guessed from."""
GUESSES = 4
"""Children of a node at most."""

Places: TypeAlias = tuple[Place, ...]


class Context(NamedTuple):
    """What followed a suffix, and did not follow a longer one."""

    bucket: Bucket
    """Where the chance that one of these comes stands."""
    counts: dict[int, int]
    """How often each id followed; of `END` too."""


class SuffixDrafting:
    """The text of one row, and the draft trees that it and `earlier` texts suggest."""

    def __init__(self, ids: Sequence[int], earlier: Automaton | None = None) -> None:
        self.texts = (Automaton(ids), *([earlier] if earlier else []))
        self.rates = Rates()
        self._ends: Places = tuple(_longest(text, ids) for text in self.texts)
        self._nodes: list[Node] = []

    def propose(self, most: int, depth: int) -> list[Node]:
        """A tree of at most `most` nodes beside the root, as `grow` orders them, no deeper than `depth`."""
        self._nodes = grow((self._ends, None), lambda after, _: self._guesses(after), most=most, depth=depth)
        return self._nodes

    def observe(self, emitted: Sequence[int]) -> None:
        """Goes on by the ids that came, and learns from the last proposal which suffixes were right."""
        self._learn(emitted)
        for x in emitted:
            self.texts[0].append(x)
            self._ends = (self.texts[0].end, *self._after(self._ends, x)[1:])

    def _learn(self, emitted: Sequence[int]) -> None:
        for node, x in walked(self._nodes, emitted):
            for context in self._contexts(self._after(*node.state)):
                self.rates.note(context.bucket, x in context.counts)
                if x in context.counts:
                    break
        self._nodes = []

    def _after(self, places: Places, x: int | None) -> Places:
        """The suffixes of all texts once an id came; None: those that there are."""
        if x is None:
            return places
        return tuple(text.after(place, x) for text, place in zip(self.texts, places, strict=True))

    def _guesses(self, after: tuple[Places, int | None]) -> Iterator[Guess]:
        """The likeliest ids after a node, which is known by its parent's suffixes and its id; the likeliest first."""
        places = self._after(*after)
        left, chances = 1.0, list[tuple[float, int]]()
        for context in self._contexts(places):
            rate, total = left * self.rates[context.bucket], sum(context.counts.values())
            best = heapq.nlargest(GUESSES, ((count, x) for x, count in context.counts.items() if x != END))
            chances += [(rate * count / total, x) for count, x in best]
            if (left := left - rate) < LEAST:
                break
        for chance, x in heapq.nlargest(GUESSES, chances):
            yield Guess(x, chance, (places, x))

    def _contexts(self, places: Places) -> Iterator[Context]:
        """The longest suffixes that were followed by something new, of all texts; the row's own first among equals."""
        every = [
            (-place.length, kind, text, place)
            for kind, text, start in zip(("match", "corpus"), self.texts, places, strict=False)
            for place in text.contexts(start)
        ]
        seen: set[int] = set()
        given = 0
        for minus, kind, text, place in sorted(every, key=lambda each: (each[0], each[1] != "match")):
            following = text.following[place.state]
            counts = {x: text.counts[state] for x, state in following.items() if x not in seen}
            if counts:
                yield Context(bucket("match" if kind == "match" else "corpus", -minus), counts)
                seen |= counts.keys() - {END}
                given += 1
            if given == CONTEXTS:
                return


def _longest(text: Automaton, ids: Sequence[int]) -> Place:
    """The longest end of `ids` that is in a text."""
    place = Place()
    for x in ids:
        place = text.after(place, x)
    return place
