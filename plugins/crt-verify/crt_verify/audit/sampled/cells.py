"""The cells that samples are counted in: rows of ids that are likely enough, and what is left behind each prefix.

With a known law the cells depend on the law and on the number of samples alone, never on the samples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs

LEAST = 5.0
"""Samples that a cell is expected to have at least; rarer rows of ids share one."""
BEHIND = 20.0
"""Samples that a prefix is expected to have before cells are made behind it. One that is never drawn, though it is
expected so often, has probability exp(-20)."""
ROUNDING = 1e-3
"""What a row may sum to above or below 1; it is normalised."""

Ids: TypeAlias = tuple[Hashable, ...]
"""Ids, or the strings that a server names its tokens by."""
Row: TypeAlias = Sequence[float] | Mapping[Any, float] | None
"""The distribution of the next id: of all ids; of those that are named, the rest being unknown; or unknown."""
Target: TypeAlias = Callable[[Ids], Row]
"""Maps a prefix to the row after it."""


@attrs.frozen
class Cells:
    """Cells with the probability of each, which sum to 1.

    A cell is a row of ids, or a prefix that stands for all that begins with it and has no cell of its own. The cell
    (), where there is one, has all else.
    """

    probabilities: dict[Ids, float]
    possible: dict[Ids, frozenset[Hashable]]
    """After each prefix whose row is known as a whole, the ids that can come."""
    rest: Ids
    """The cell of all that has no other."""
    pooled: float
    """The probability of rows of ids without a cell of their own."""

    def of(self, ids: Ids) -> Ids | None:
        """The cell of a row of ids: its longest prefix that is one; None where it is impossible."""
        for end, x in enumerate(ids):
            if ids[:end] in self.possible and x not in self.possible[ids[:end]]:
                return None
        prefixes = (ids[:end] for end in range(len(ids), 0, -1))
        return next((prefix for prefix in prefixes if prefix in self.probabilities), self.rest)

    def counts(self, rows: Iterable[Ids]) -> tuple[dict[Ids, int], int]:
        """How many rows of ids are in each cell, and how many are impossible."""
        counts, impossible = dict.fromkeys(self.probabilities, 0), 0
        for ids, count in Counter(rows).items():
            cell = self.of(ids)
            if cell is None:
                impossible += count
            else:
                counts[cell] += count
        return counts, impossible


def cells(target: Target, length: int, samples: int) -> Cells:
    """The cells of rows of `length` ids, for a number of samples.

    Raises: ValueError if a row of the target is no distribution, or there are fewer than two cells.
    """
    own: dict[Ids, float] = {}
    possible: dict[Ids, frozenset[Hashable]] = {}
    pooled = rest = 0.0
    ahead: list[tuple[Ids, float]] = [((), 1.0)]
    while ahead:
        prefix, mass = ahead.pop()
        named, whole = _named(target(prefix), prefix)
        if whole:
            possible[prefix] = frozenset(x for x, chance in named.items() if chance > 0)
        left = mass
        for x, chance in named.items():
            ids, likely = (*prefix, x), mass * chance
            if samples * likely < LEAST:
                continue
            left -= likely
            if len(ids) < length and samples * likely >= BEHIND:
                ahead.append((ids, likely))
            else:
                own[ids] = likely
                pooled += likely if len(ids) < length else 0.0
        left = max(left, 0.0)
        pooled += left
        if prefix and samples * left >= LEAST:
            own[prefix] = left
        elif above := next((prefix[:end] for end in range(len(prefix) - 1, 0, -1) if prefix[:end] in own), None):
            own[above] += left
        else:
            rest += left
    smallest: Ids = ()
    if samples * rest >= LEAST:
        own[()] = rest
    elif own:
        smallest = min(own, key=own.__getitem__)
        own[smallest] += rest
    if len(own) < 2:
        raise ValueError(f"expected a law with two cells or more of {LEAST:.0f} samples each, got {len(own)}")
    total = sum(own.values())
    return Cells({ids: chance / total for ids, chance in own.items()}, possible, smallest, pooled)


def _named(row: Row, prefix: Ids) -> tuple[dict[Any, float], bool]:
    """The ids of a row with their probabilities, none if it is unknown, and whether these are all that can come.

    Raises: ValueError if it is no distribution.
    """
    if row is None:
        return {}, False
    named: dict[Any, float] = dict(row) if isinstance(row, Mapping) else dict(enumerate(map(float, row)))
    total = sum(named.values())
    whole = abs(total - 1) <= (1e-9 if isinstance(row, Mapping) else ROUNDING)
    if not all(chance >= 0 for chance in named.values()) or not (
        whole or (isinstance(row, Mapping) and total <= 1 + ROUNDING)
    ):
        raise ValueError(f"expected probabilities after {list(prefix)} that sum to 1, got {row!s:.200}")
    return ({x: chance / total for x, chance in named.items()} if whole or total > 1 else named), whole


def pooled_cells(first: Mapping[Ids, int], second: Mapping[Ids, int]) -> list[Ids]:
    """The rows of ids that two samples are compared on: those that both together have ten times or more.

    The rule sees the sum of both alone, so that the exchange of samples between them, which a permutation test is
    about, does not change it.
    """
    together = {ids: first.get(ids, 0) + second.get(ids, 0) for ids in (*first, *second)}
    return [ids for ids, count in together.items() if count >= 2 * LEAST]
