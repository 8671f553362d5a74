"""Draft trees from a text: the guesses that are likeliest to come, merged into one tree.

Each guess is a cursor, a place of the text whose id is expected next. Cursors that agree share a node.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from crt_verify.lookup.copying import Copying
from crt_verify.lookup.drafts import Drafts
from crt_verify.lookup.growth import Guess, Node
from crt_verify.lookup.history import History
from crt_verify.lookup.rates import Bucket, Kind, bucket

MATCHES = 12
"""Matches that a tree is grown from."""
GUESSES = 6
"""Children of a node at most."""
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


class Expected(NamedTuple):
    """An id that may come next."""

    x: int
    rate: float
    """The chance that it comes, if none before it in the list does."""
    bucket: Bucket
    cursors: tuple[Cursor, ...]
    """Those that expected it, one id further."""


class Drafting(Drafts):
    """Drafts by places of the text that are expected to go on."""

    def __init__(self, ids: Sequence[int]) -> None:
        super().__init__()
        self.copying = Copying(History(ids))

    @property
    def history(self) -> History:
        """The text."""
        return self.copying.history

    def _start(self) -> tuple[Cursor, ...]:
        return tuple(self._cursors())

    def _append(self, x: int) -> None:
        self.copying.append(x)

    def _note(self, steps: Sequence[tuple[Node, int]]) -> None:
        known = [(self._expected(node.state, node.path), x) for node, x in steps]
        for before, x in known:
            for expected in before:
                self.rates.note(expected.bucket, expected.x == x)
                if expected.x == x:
                    break

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
        left = 1.0
        for expected in self._expected(cursors, path):
            yield Guess(expected.x, left * expected.rate, expected.cursors)
            left *= 1 - expected.rate

    def _expected(self, cursors: Sequence[Cursor], path: tuple[int, ...]) -> list[Expected]:
        """What cursors expect after a path, the likeliest first."""
        rate: dict[int, tuple[float, Bucket]] = {}
        agree: dict[int, list[Cursor]] = {}
        for cursor in cursors:
            for x, own, further in self._next(cursor, path):
                chance = self.rates[own]
                agree.setdefault(x, []).append(further)
                if chance > rate.get(x, (0.0, own))[0]:
                    rate[x] = chance, own
        best = sorted(rate.items(), key=lambda item: -item[1][0])[:GUESSES]
        return [Expected(x, chance, own, tuple(agree[x])) for x, (chance, own) in best]

    def _next(self, cursor: Cursor, path: tuple[int, ...]) -> Iterator[tuple[int, Bucket, Cursor]]:
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
            yield from self._next(further, path)
        yield x, cursor.bucket, Cursor(place + 1, bucket(kind, level), level)
