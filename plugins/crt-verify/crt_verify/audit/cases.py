"""Random targets and drafts, from simple to general."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np

from crt_verify.audit.law import Case, all_prefixes
from crt_verify.drafters import Branching, Chain, Drafter, Paths

SIMPLE = 8
"""Probabilities of a simple row are multiples of one over this."""


def cases(drafter: Drafter, vocabulary: int, count: int, seed: int, *, simple: bool = False) -> Iterator[Case]:
    """Targets and drafts whose rows depend on the ids before.

    Of twelve, six have rows of any numbers, two rows in which an id is impossible, as behind top-k or top-p, one a
    draft that is nearly the target, one a target that is nearly certain, one a draft that proposes the only possible id
    after half of the lists, and one a target that has only one possible id after half of them.
    """
    generator = np.random.default_rng(seed)
    for number in range(count):
        kind = number % 12
        p, q = {}, {}
        for ids in all_prefixes(vocabulary, len(drafter.widths) + 1):
            rows = [_row(generator, vocabulary, simple) for _ in range(2)]
            if kind in (6, 7):
                rows = [_without_one(generator, row) for row in rows]
            elif kind == 8:
                rows[1] = 0.9 * rows[0] + 0.1 * rows[1]
            elif kind == 9:
                rows[0] = 0.98 * np.eye(vocabulary)[generator.integers(vocabulary)] + 0.02 * rows[0]
            elif kind in (10, 11) and generator.random() < 0.5:
                rows[11 - kind] = np.eye(vocabulary)[generator.integers(vocabulary)]
            p[ids], q[ids] = (tuple((row / row.sum()).tolist()) for row in rows)
        yield Case(p, q, drafter)


def smaller(drafter: Drafter, vocabulary: int) -> Iterator[tuple[Drafter, int]]:
    """The drafter with fewer levels and ids, the smallest first, up to as it is."""
    for levels in range(1, len(drafter.widths) + 1):
        for ids in range(2, vocabulary + 1):
            yield shortened(drafter, levels), ids


def shortened(drafter: Drafter, levels: int) -> Drafter:
    """The drafter's first levels, where its kind is known; else all of it."""
    if isinstance(drafter, Chain | Paths):
        return attrs.evolve(drafter, length=levels)
    if isinstance(drafter, Branching):
        return attrs.evolve(drafter, branching=drafter.branching[:levels])
    return drafter


def _row(generator: np.random.Generator, vocabulary: int, simple: bool) -> Any:
    if simple:
        parts = generator.multinomial(SIMPLE - vocabulary, np.full(vocabulary, 1 / vocabulary)) + 1
        return parts / SIMPLE
    return generator.dirichlet(np.ones(vocabulary))


def _without_one(generator: np.random.Generator, row: Any) -> Any:
    if len(row) > 2:
        row = row.copy()
        row[generator.integers(len(row))] = 0
    return row
