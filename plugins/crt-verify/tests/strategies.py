"""Hard targets, drafts and trees for property tests.

Axes: m nodes (the root counted), v vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import attrs
import numpy as np
import numpy.typing as npt
import torch
from hypothesis import strategies as st
from torch import Tensor

from crt_verify.tree import Tree

Ids = tuple[int, ...]
Row = npt.NDArray[np.float64]
Change = Callable[[Row, Row, np.random.Generator], tuple[Row, Row]]


def thinned(row: Row, source: np.random.Generator) -> Row:
    """About half of the entries are 0, never all of them."""
    kept = source.random(len(row)) < 0.5
    kept[source.integers(len(row))] = True
    return np.where(kept, row, 0)


def sure(row: Row, source: np.random.Generator) -> Row:
    """One entry has probability 1."""
    return np.eye(len(row))[source.integers(len(row))]


def with_entry(value: float) -> Callable[[Row, np.random.Generator], Row]:
    """At most one entry behind the first is `value`."""
    return lambda row, source: np.where(np.arange(len(row)) == source.integers(1, 1 + len(row)), value, row)


def parted(p: Row, q: Row, _: np.random.Generator) -> tuple[Row, Row]:
    """No id is possible under both, unless there is only one id."""
    even = np.arange(len(p)) % 2 == 0
    return (np.where(even, p, 0), np.where(even, 0, q)) if len(p) > 1 else (p, q)


def nudged(p: Row, _: Row, source: np.random.Generator) -> tuple[Row, Row]:
    """Each entry of the draft is the target's, or one unit in the last place beside it."""
    return p, np.choose(source.integers(3, size=len(p)), [np.nextafter(p, 0), p, np.nextafter(p, 1)])


def both(change: Callable[[Row, np.random.Generator], Row]) -> Change:
    """The same change of target and draft, each by its own draws."""
    return lambda p, q, source: (change(p, source), change(q, source))


KINDS: dict[str, Change] = {
    "free": lambda p, q, _: (p, q),
    "zeros": both(thinned),
    "zeros-in-target": lambda p, q, source: (thinned(p, source), q),
    "zeros-in-draft": lambda p, q, source: (p, thinned(q, source)),
    "disjoint": parted,
    "ties": lambda p, q, _: (np.ceil(3 * p), np.ceil(3 * q)),
    "same": lambda p, q, _: (p, p),
    "one-ulp": nudged,
    "sure-target": lambda p, q, source: (sure(p, source), q),
    "sure-draft": lambda p, q, source: (p, sure(q, source)),
    "tiny": both(with_entry(1e-30)),
    "denormal": both(with_entry(5e-324)),
}
"""Kinds of hard rows."""


@lru_cache(maxsize=2**14)
def distributions(kind: str, seed: int, vocabulary: int, path: Ids) -> tuple[Tensor, Tensor]:
    """Target and draft after a path: Dirichlet with a concentration from .1 to 10, then made hard."""
    source = np.random.default_rng([seed, len(path), *path])
    p, q = source.dirichlet(np.full(vocabulary, 10 ** source.uniform(-1, 1)), 2) + 1e-12
    p, q = KINDS[kind](p, q, source)
    return torch.from_numpy(p / p.sum()), torch.from_numpy(q / q.sum())


@attrs.frozen
class Pair:
    """A target and a draft, with different rows after each path."""

    kind: str
    seed: int
    vocabulary: int

    def p(self, path: Ids) -> Tensor:
        """The target's row after a path."""
        return distributions(self.kind, self.seed, self.vocabulary, path)[0]

    def q(self, path: Ids) -> Tensor:
        """The draft's row after a path."""
        return distributions(self.kind, self.seed, self.vocabulary, path)[1]


def pairs(vocabulary: st.SearchStrategy[int] | int, kinds: tuple[str, ...] = tuple(KINDS)) -> st.SearchStrategy[Pair]:
    """Pairs of all kinds."""
    size = st.just(vocabulary) if isinstance(vocabulary, int) else vocabulary
    return st.builds(Pair, st.sampled_from(kinds), st.integers(0, 2**31), size)


@attrs.frozen
class Draft:
    """A tree that can be sampled from a draft."""

    pair: Pair
    parents: Ids
    tokens: Ids

    @property
    def tree(self) -> Tree:
        """The tree itself."""
        return Tree(self.parents, self.tokens)

    @property
    def p(self) -> Tensor:
        """The target's row after each node, m v."""
        return torch.stack([*map(self.pair.p, paths(self.parents, self.tokens))])

    @property
    def q(self) -> Tensor:
        """The draft's row after each node, m v."""
        return torch.stack([*map(self.pair.q, paths(self.parents, self.tokens))])


def paths(parents: Ids, tokens: Ids) -> list[Ids]:
    """The ids down to each node."""
    below: list[Ids] = [()]
    for parent, x in zip(parents[1:], tokens[1:], strict=True):
        below.append((*below[parent], x))
    return below


@st.composite
def drafts(
    draw: st.DrawFn,
    *,
    chain: bool = False,
    repeats: bool = False,
    most: int = 6,
    kinds: tuple[str, ...] = tuple(KINDS),
    vocabulary: st.SearchStrategy[int] | int = st.integers(2, 4),  # noqa: B008, a strategy is a constant
) -> Draft:
    """Trees of up to `most` drafted nodes in any order, down to the root alone; siblings repeat where `repeats`."""
    pair = draw(pairs(vocabulary, kinds))
    parents, tokens = [-1], [-1]
    for node in range(draw(st.integers(0, most))):
        parent = node if chain else draw(st.integers(0, node))
        if parent >= len(parents):
            continue
        gone = {x for above, x in zip(parents, tokens, strict=True) if above == parent and not repeats}
        row = pair.q(paths(tuple(parents), tuple(tokens))[parent])
        possible = [x for x in row.nonzero()[:, 0].tolist() if x not in gone]
        if possible:  # else the node already has more children than can be drawn
            parents.append(parent)
            tokens.append(draw(st.sampled_from(possible)))
    return Draft(pair, tuple(parents), tuple(tokens))
