"""Draft trees from a text: the guesses that are likeliest to come, merged into one tree.

Each guess is a cursor, a place of the text whose id is expected next. Cursors that agree share a node; the tree grows
where it is likeliest to be walked, and so has its nodes in the order of their worth.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import attrs

from crt_verify.lookup.copying import Copying
from crt_verify.lookup.history import History
from crt_verify.lookup.rates import Bucket, Kind, Rates, Trust, bucket

MATCHES = 12
"""Matches that a tree is grown from."""
GUESSES = 4
"""Children of a node at most."""
LEAST = 0.02
"""Nodes that are less likely to be reached are left out."""
OFFSETS = (1, 0, 2, 3)
"""Ids behind an anchor that are expected first, as a copy goes on after an edit."""


class Cursor(NamedTuple):
    """A place that is expected to go on."""

    place: int
    """Index of the id that is expected; beyond the text, of the draft itself."""
    bucket: Bucket
    """Where its rate stands."""
    level: int
    """Ids before it that agree."""
    pending: tuple[int, ...] = ()
    """Ids that come first, of a replacement."""


class Guess(NamedTuple):
    """An id that may come next."""

    x: int
    chance: float
    """That it comes, if none before it in the list does."""
    bucket: Bucket
    cursors: tuple[Cursor, ...]
    """Those that expected it, one id further."""


@attrs.define(eq=False)
class Node:
    """A node of a draft tree, with what is expected after it."""

    path: tuple[int, ...]
    """The drafted ids down to it."""
    parent: int
    chance: float
    """That it is reached."""
    guesses: tuple[Guess, ...] = ()


class Drafting:
    """The text of one row and the draft trees that it suggests."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.copying = Copying(History(ids))
        self.rates = Rates()
        self.trust = Trust()
        self._nodes: list[Node] = []

    @property
    def history(self) -> History:
        """The text."""
        return self.copying.history

    def propose(self, most: int, depth: int) -> list[Node]:
        """A tree of at most `most` nodes beside the root, node 0, no deeper than `depth`; a parent comes before it.

        Node i + 1 is never likelier to be reached than node i, so that any first part of the list is the best tree of
        its size.
        """
        root = Node((), -1, 1.0)
        nodes, order = [root], 0
        heap: list[tuple[float, int, int, Guess]] = []
        grown: list[tuple[Node, tuple[Cursor, ...]]] = [(root, tuple(self._cursors()))]
        while True:
            for node, cursors in grown:
                node.guesses = tuple(self._guesses(cursors, node.path))
                if len(node.path) < depth:
                    left = node.chance
                    for guess in node.guesses:
                        order += 1
                        heapq.heappush(heap, (-left * guess.chance, order, len(nodes) - 1, guess))
                        left *= 1 - guess.chance
            if not heap or len(nodes) > most or -heap[0][0] < LEAST:
                break
            chance, _, parent, guess = heapq.heappop(heap)
            child = Node((*nodes[parent].path, guess.x), parent, -chance)
            nodes.append(child)
            grown = [(child, guess.cursors)]
        self._nodes = nodes
        return nodes

    def chances(self, nodes: Sequence[Node]) -> list[float]:
        """The chances that the nodes beside the root are reached, by how far earlier ones came true."""
        return [node.chance * self.trust.factor ** len(node.path) for node in nodes[1:]]

    def observe(self, emitted: Sequence[int]) -> None:
        """Goes on by the ids that came, and learns from the last proposal which guesses were right.

        What was proposed counts whether it was drafted or not.
        """
        self._learn(emitted)
        for x in emitted:
            self.copying.append(x)

    def _learn(self, emitted: Sequence[int]) -> None:
        at = 0
        below = {(node.parent, node.path[-1]): index for index, node in enumerate(self._nodes) if node.path}
        expected = [0.0] * len(self._nodes)
        for node in self._nodes[1:]:
            expected[node.parent] += node.chance / self._nodes[node.parent].chance
        for x in emitted if self._nodes else ():
            if expected[at]:
                self.trust.note(expected[at], (at, x) in below)
            for guess in self._nodes[at].guesses:
                self.rates.note(guess.bucket, guess.x == x)
                if guess.x == x:
                    break
            if (at := below.get((at, x), -1)) < 0:
                break
        self._nodes = []

    def _cursors(self) -> Iterator[Cursor]:
        """Where the text is expected to go on."""
        copying, end = self.copying, len(self.history)
        if copying.place is not None:
            yield Cursor(copying.place, bucket("copy", copying.run), copying.run, copying.pending)
        for match in self.history.matches(MATCHES):
            if match.place != copying.place:
                yield Cursor(match.place, bucket("match", match.length), match.length)
        if copying.place is None:
            for anchor in copying.anchors:
                since = end - anchor.at
                for index, offset in enumerate(dict.fromkeys((since, *OFFSETS))):
                    if anchor.source + offset < end:
                        yield Cursor(anchor.source + offset, Bucket("anchor", index), 1)

    def _guesses(self, cursors: Sequence[Cursor], path: tuple[int, ...]) -> Iterator[Guess]:
        """What cursors expect after a path, the likeliest first."""
        rate: dict[int, tuple[float, Bucket]] = {}
        agree: dict[int, list[Cursor]] = {}
        for cursor in cursors:
            for x, own, further in self._expected(cursor, path):
                chance = self.rates[own]
                agree.setdefault(x, []).append(further)
                if chance > rate.get(x, (0.0, own))[0]:
                    rate[x] = chance, own
        for x, (chance, own) in sorted(rate.items(), key=lambda item: -item[1][0])[:GUESSES]:
            yield Guess(x, chance, own, tuple(agree[x]))

    def _expected(self, cursor: Cursor, path: tuple[int, ...]) -> Iterator[tuple[int, Bucket, Cursor]]:
        """The ids that a cursor expects, each with its bucket and the cursor one id further."""
        if cursor.pending:
            first, *rest = cursor.pending
            yield first, cursor.bucket, cursor._replace(pending=tuple(rest))
            return
        ids, place = self.history.ids, cursor.place
        if place >= len(ids) + len(path):
            return
        x = ids[place] if place < len(ids) else path[place - len(ids)]
        level = cursor.level + 1
        kind: Kind = "copy" if cursor.bucket.kind == "copy" else "match"
        if (replaced := self.copying.replaced(place)) is not None:
            further = Cursor(place + len(replaced.old), bucket("replace", 1), level, replaced.new)
            yield from self._expected(further, path)
        yield x, cursor.bucket, Cursor(place + 1, bucket(kind, level), level)
