"""Draft trees: one, free of torch, and a padded batch of them.

Axes: b batch, m nodes (the root counted).
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import attrs

if TYPE_CHECKING:
    from jaxtyping import Int
    from torch import Tensor


def _integers(values: Iterable[int]) -> tuple[int, ...]:
    """Converts values to Python integers."""
    return tuple(operator.index(x) for x in values)


@attrs.frozen(slots=False)
class Tree:
    """Drafted ids as a tree: node 0 is the root (the last emitted id), siblings are in the order they were drawn in.

    K independent paths have a node for each id of each path; equal ids are not merged.
    """

    parents: tuple[int, ...] = attrs.field(converter=_integers)
    """The node above each node, itself earlier in the list; -1 for the root."""
    tokens: tuple[int, ...] = attrs.field(converter=_integers)
    """The drafted id of each node; -1 for the root."""

    def __attrs_post_init__(self) -> None:
        if len(self.parents) != len(self.tokens):
            raise ValueError(f"expected a token for each parent, got {len(self.parents)} and {len(self.tokens)}")
        if self.parents[:1] != (-1,) or self.tokens[:1] != (-1,):
            raise ValueError(f"expected node 0 to be the root (-1, -1), got {self.parents[:1] + self.tokens[:1]}")
        for node, (parent, token) in enumerate(zip(self.parents[1:], self.tokens[1:], strict=True), start=1):
            if not 0 <= parent < node:
                raise ValueError(f"expected node {node}'s parent to come before it, got {parent}")
            if token < 0:
                raise ValueError(f"expected node {node} to carry an id, got {token}")

    def __len__(self) -> int:
        """Nodes, the root counted."""
        return len(self.parents)

    @cached_property
    def _children(self) -> tuple[tuple[int, ...], ...]:
        below: list[list[int]] = [[] for _ in self.parents]
        for node, parent in enumerate(self.parents[1:], start=1):
            below[parent].append(node)
        return tuple(map(tuple, below))

    def children(self, node: int) -> tuple[int, ...]:
        """The children of a node, in draw order."""
        return self._children[node]

    def path(self, node: int) -> tuple[int, ...]:
        """The ids from the root to a node, without the root's."""
        return () if node == 0 else (*self.path(self.parents[node]), self.tokens[node])

    @cached_property
    def depths(self) -> tuple[int, ...]:
        """The depth of each node; the root has 0."""
        depths = [0]
        for parent in self.parents[1:]:
            depths.append(depths[parent] + 1)
        return tuple(depths)

    @property
    def depth(self) -> int:
        """Drafted ids on the longest path."""
        return max(self.depths)


class Trees(NamedTuple):
    """A batch of trees, padded at the end."""

    parents: Int[Tensor, "b m"]
    """-1 for the root and for padding."""
    tokens: Int[Tensor, "b m"]
    """-1 for the root and for padding."""
    nodes: Int[Tensor, " b"]
    """Nodes of each tree, the root counted."""


def batch(trees: Sequence[Tree]) -> Trees:
    """Pads trees to the size of the largest.

    Raises: ValueError if there are none.
    """
    import torch

    if not trees:
        raise ValueError("expected at least one tree, got none")
    most = max(map(len, trees))
    pad = [[-1] * (most - len(tree)) for tree in trees]
    parents = [[*tree.parents, *rest] for tree, rest in zip(trees, pad, strict=True)]
    tokens = [[*tree.tokens, *rest] for tree, rest in zip(trees, pad, strict=True)]
    return Trees(torch.tensor(parents), torch.tensor(tokens), torch.tensor([len(tree) for tree in trees]))
