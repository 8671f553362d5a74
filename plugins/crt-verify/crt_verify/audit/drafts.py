"""Draft trees that are drawn as far as they are read.

A verifier that walks down from the root reads few of a tree's nodes, and what it does not read need not be followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from crt_verify.audit.branches import Draws
from crt_verify.drafters import Drafter
from crt_verify.drafters.drafter import FixedShape, Ids
from crt_verify.tree import Tree

Row = Callable[[Ids], Sequence[float]]
"""Maps the ids behind the root to the distribution of the next one."""


class Options:
    """What a drafter can draw, each with its chance; known once it was asked for."""

    def __init__(self, drafter: Drafter, q: Row) -> None:
        self._drafter, self._q = drafter, q
        self._known: dict[Ids, tuple[list[Ids], list[float]]] = {}
        self._trees: tuple[list[Tree], list[float]] | None = None

    @property
    def levels(self) -> int:
        """The ids of a path, at most."""
        return len(self._drafter.widths)

    def siblings(self, path: Ids) -> tuple[list[Ids], list[float]]:
        """The lists of children after a path, where all trees have one shape."""
        if path not in self._known:
            drafter = self._drafter
            assert isinstance(drafter, FixedShape)
            inside = len(path) < len(drafter.shape)
            pairs = list(drafter.siblings(self._q(path), drafter.shape[len(path)])) if inside else [((), 1.0)]
            self._known[path] = [ids for ids, _ in pairs], [chance for _, chance in pairs]
        return self._known[path]

    def trees(self) -> tuple[list[Tree], list[float]] | None:
        """The whole trees, where these are not of one shape."""
        if self._trees is None and not isinstance(self._drafter, FixedShape):
            pairs = list(self._drafter.distribution(self._q, len(self._drafter.widths)))
            self._trees = [tree for tree, _ in pairs], [chance for _, chance in pairs]
        return self._trees


class DraftTree:
    """Drafted ids: node 0 is the root, siblings are in the order they were drawn in.

    A chain has one child each. Independent paths are not merged: equal ids are two nodes.
    """

    def __init__(self, options: Options, draws: Draws) -> None:
        self._options, self._draws = options, draws
        self._parents = [-1]
        self._paths: list[Ids] = [()]
        self._below: dict[int, list[int]] = {}
        if (whole := options.trees()) is not None:
            trees, chances = whole
            tree = trees[draws.draw(chances)]
            for parent, x in zip(tree.parents[1:], tree.tokens[1:], strict=True):
                self._add(parent, x)
            self._below = {node: list(tree.children(node)) for node in range(len(tree))}

    def children(self, node: int) -> list[int]:
        """The children of a node, in draw order."""
        if node not in self._below:
            lists, chances = self._options.siblings(self._paths[node])
            self._below[node] = [self._add(node, x) for x in lists[self._draws.draw(chances)]]
        return list(self._below[node])

    def token(self, node: int) -> int:
        """The id of a node; -1 for the root."""
        return self._paths[node][-1] if node else -1

    def parent(self, node: int) -> int:
        """The node above; -1 for the root."""
        return self._parents[node]

    def path(self, node: int) -> Ids:
        """The ids from the root to a node."""
        return self._paths[node]

    @property
    def levels(self) -> int:
        """The ids of a path, at most; known without drawing any."""
        return self._options.levels

    @property
    def parents(self) -> list[int]:
        """The node above each node, of the whole tree."""
        self._all()
        return list(self._parents)

    @property
    def tokens(self) -> list[int]:
        """The id of each node, of the whole tree; -1 for the root."""
        self._all()
        return [self.token(node) for node in range(len(self._parents))]

    def __len__(self) -> int:
        """Nodes of the whole tree, the root counted."""
        self._all()
        return len(self._parents)

    def _all(self) -> None:
        node = 0
        while node < len(self._parents):
            self.children(node)
            node += 1

    def _add(self, parent: int, x: int) -> int:
        self._parents.append(parent)
        self._paths.append((*self._paths[parent], x))
        return len(self._parents) - 1


class Rows:
    """The rows of a distribution after each node; as an array they are those of the whole tree."""

    def __init__(self, tree: DraftTree, row: Row) -> None:
        self._tree, self._row = tree, row

    def __getitem__(self, node: int) -> Any:
        """The row after a node, float64; the caller's own."""
        return np.array(self._row(self._tree.path(node)))

    def after(self, ids: Sequence[int]) -> Any:
        """The row after any ids behind the root, which need not be drafted."""
        return np.array(self._row(tuple(ids)))

    def __len__(self) -> int:
        """Nodes of the whole tree."""
        return len(self._tree)

    def __iter__(self) -> Iterator[Any]:
        return (self[node] for node in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """All rows, [nodes, vocabulary]."""
        return np.array(list(self), dtype=dtype)
