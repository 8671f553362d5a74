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
from crt_verify.lookup.drafts import Drafts
from crt_verify.lookup.growth import LEAST, Guess, Node
from crt_verify.lookup.rates import Bucket, bucket

CONTEXTS = 6
"""Suffixes that a node is guessed from."""
GUESSES = 4
"""Children of a node at most."""

Places: TypeAlias = tuple[Place, ...]
After: TypeAlias = tuple[Places, int | None]
"""The state of a node: its parent's suffixes, and its id."""


class Context(NamedTuple):
    """What followed a suffix, and did not follow a longer one."""

    bucket: Bucket
    """Where the chance that one of these comes stands."""
    counts: dict[int, int]
    """How often each id followed; of `END` too."""


class SuffixDrafting(Drafts):
    """Drafts by what followed the end of the text before, in it and in `earlier` texts."""

    def __init__(self, ids: Sequence[int], earlier: Automaton | None = None) -> None:
        super().__init__()
        self.texts = (Automaton(ids), *([earlier] if earlier else []))
        self._ends: Places = tuple(_longest(text, ids) for text in self.texts)

    def _start(self) -> After:
        return self._ends, None

    def _append(self, x: int) -> None:
        self.texts[0].append(x)
        self._ends = (self.texts[0].end, *self._after(self._ends, x)[1:])

    def _note(self, steps: Sequence[tuple[Node, int]]) -> None:
        for node, x in steps:
            for context in self._contexts(self._after(*node.state)):
                self.rates.note(context.bucket, x in context.counts)
                if x in context.counts:
                    break

    def _after(self, places: Places, x: int | None) -> Places:
        """The suffixes of all texts once an id came; None: those that there are."""
        if x is None:
            return places
        return tuple(text.after(place, x) for text, place in zip(self.texts, places, strict=True))

    def _guesses(self, state: After, path: tuple[int, ...]) -> Iterator[Guess]:
        """The likeliest ids after a node, the likeliest first."""
        places = self._after(*state)
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
