"""Drafter: a frozen, torch-free description of how a tree of ids is sampled from a draft's distribution q."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, product
from operator import mul
from typing import TYPE_CHECKING, SupportsFloat, TypeAlias

import attrs

from crt_verify.tree import Tree
from crtcore.settings import Sampling

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from crt_verify.drafters.tree_builder import TreeBuilder

Ids: TypeAlias = tuple[int, ...]
Rows: TypeAlias = Callable[[Ids], Iterable[SupportsFloat]]
"""Maps a path's ids to the draft's distribution of the next one."""


def numbers(values: Iterable[int]) -> Ids:
    """Values as a tuple."""
    return tuple(values)


@attrs.frozen(kw_only=True)
class Drafter(abc.ABC):
    """Base of every drafter."""

    @property
    @abc.abstractmethod
    def widths(self) -> tuple[int, ...]:
        """The most nodes of each level."""

    @property
    def nodes(self) -> int:
        """The most nodes of a tree, the root counted."""
        return 1 + sum(self.widths)

    def sampling(self, sampling: Sampling) -> Sampling:
        """How the draft's logits become q, where those of the target are treated by `sampling`: the same way."""
        return sampling

    @property
    def bounded(self) -> bool:
        """Whether `bound` is exact: the row after the root alone decides on the root's children."""
        return True

    @abc.abstractmethod
    def distribution(self, q: Rows, depth: int) -> Iterator[tuple[Tree, float]]:
        """Every tree of at most `depth` levels that can be sampled, with its probability."""

    @abc.abstractmethod
    def bound(self, p: Float[Tensor, "*b v"], q: Float[Tensor, "*b v"]) -> Float[Tensor, "*b"]:
        """The largest probability with which any exact rule accepts a child of the root, for rows p and q after it.

        q is the draft's row under `sampling`; the result is too large where `bounded` is False.
        """

    @abc.abstractmethod
    def build(self) -> TreeBuilder:
        """The builder of trees for a batch."""


@attrs.frozen(kw_only=True)
class FixedShape(Drafter):
    """Base of drafters that give every node of a level the same number of children, as far as q has ids."""

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Children of a node of each level, the root's first."""

    @abc.abstractmethod
    def siblings(self, row: Sequence[float], count: int) -> Iterator[tuple[Ids, float]]:
        """Every possible list of a node's children, in draw order, with its probability; `row` sums to 1."""

    @property
    def widths(self) -> tuple[int, ...]:
        """The product of the numbers of children down to each level."""
        return tuple(accumulate(self.shape, mul))

    def distribution(self, q: Rows, depth: int) -> Iterator[tuple[Tree, float]]:
        """Level by level, every choice of every node's children."""
        yield from self._below(Tree((-1,), (-1,)), range(1), q, self.shape[:depth])

    def _below(self, tree: Tree, last: range, q: Rows, shape: Ids) -> Iterator[tuple[Tree, float]]:
        if not shape:
            yield tree, 1.0
            return
        options = [tuple(self.siblings(_normal(q(tree.path(node))), shape[0])) for node in last]
        for chosen in product(*options):
            added = [(node, x) for node, (ids, _) in zip(last, chosen, strict=True) for x in ids]
            parents, tokens = zip(*added, strict=True)
            grown = Tree(tree.parents + parents, tree.tokens + tokens)
            weight = math.prod(chance for _, chance in chosen)
            for whole, chance in self._below(grown, range(len(tree), len(grown)), q, shape[1:]):
                yield whole, weight * chance


def draft_distribution(
    drafter: Drafter, q: Rows | Iterable[SupportsFloat], *, depth: int | None = None
) -> Iterator[tuple[Tree, float]]:
    """Every tree that a drafter can sample, with its probability in float64; tiny vocabularies only.

    `q` is one row for all nodes, or a function from a path's ids to the row after it. `depth` limits the levels.
    Raises: ValueError if the drafter's trees cannot be enumerated.
    """
    depth = len(drafter.widths) if depth is None else depth
    if callable(q):
        return drafter.distribution(q, depth)
    row = _normal(q)
    return drafter.distribution(lambda _: row, depth)


def _normal(row: Iterable[SupportsFloat]) -> Sequence[float]:
    """A row as Python's floats, normalised once more: float32 rows miss 1 by their rounding."""
    entries = [float(x) for x in row]
    total = math.fsum(entries)
    return [x / total for x in entries]
