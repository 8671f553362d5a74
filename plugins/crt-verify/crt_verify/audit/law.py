"""The law of what a verifier emits in a round, beside the target's: both over whole rows, every branch followed."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeAlias

import attrs
import numpy as np

from crt_verify.audit.branches import Branches, Draws
from crt_verify.audit.drafts import DraftTree, Options, Rows
from crt_verify.drafters import Drafter
from crt_verify.drafters.drafter import Ids

Verify: TypeAlias = Callable[[DraftTree, Rows, Rows, Draws], Sequence[int]]
"""Takes a drafted tree, the rows p and q after its nodes, and draws; returns the ids that are emitted."""


@attrs.frozen(eq=False)
class Case:
    """A target and a draft: rows after each list of ids, up to one id less than a round can emit."""

    p: dict[Ids, tuple[float, ...]]
    q: dict[Ids, tuple[float, ...]]
    drafter: Drafter

    @property
    def vocabulary(self) -> int:
        """Ids run from 0 up to this."""
        return len(self.p[()])

    @property
    def length(self) -> int:
        """The most ids of a round: the drafted levels, and one more."""
        return len(self.drafter.widths) + 1


def emitted(verify: Verify, case: Case) -> dict[Ids, float]:
    """The probability of each row of ids that a verifier emits.

    Raises: ValueError if it emits nothing, too much, or what is no id, or draws by what is no probability.
    """
    options = Options(case.drafter, case.q.__getitem__)

    def once(draws: Draws) -> Ids:
        tree = DraftTree(options, draws)
        ids = verify(tree, Rows(tree, case.p.__getitem__), Rows(tree, case.q.__getitem__), draws)
        row = tuple(int(x) for x in ids)
        if not 1 <= len(row) <= case.length or not all(0 <= x < case.vocabulary for x in row):
            raise ValueError(f"expected 1 to {case.length} ids below {case.vocabulary}, got {list(row)}")
        return row

    rows: defaultdict[Ids, float] = defaultdict(float)
    for row, chance in Branches(once):
        rows[row] += chance
    return dict(rows)


def completed(rows: dict[Ids, float], case: Case) -> Any:
    """The probability of each row of the full length, where the target goes on behind what was emitted."""

    @cache
    def after(ids: Ids) -> Any:
        if len(ids) == case.length:
            return np.ones(1)
        return np.concatenate([p * after((*ids, x)) for x, p in enumerate(case.p[ids])])

    whole = np.zeros(case.vocabulary**case.length)
    for ids, chance in rows.items():
        size = case.vocabulary ** (case.length - len(ids))
        start = sum(x * case.vocabulary ** (case.length - 1 - place) for place, x in enumerate(ids))
        whole[start : start + size] += chance * after(ids)
    return whole


def distance(verify: Verify, case: Case) -> float:
    """The total variation between rows of the full length and the target's own.

    Raises: ValueError as `emitted` does.
    """
    own = completed(emitted(verify, case), case)
    return float(np.abs(own - completed({(): 1.0}, case)).sum() / 2)


def all_prefixes(vocabulary: int, length: int) -> list[Ids]:
    """Every list of fewer than `length` ids."""
    return [ids for size in range(length) for ids in itertools.product(range(vocabulary), repeat=size)]
