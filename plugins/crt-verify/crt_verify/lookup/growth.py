"""Grows draft trees: nodes in the order of the chance that they are reached."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

LEAST = 0.02
"""Nodes that are less likely to be reached are left out."""


class Node(NamedTuple):
    """A node of a draft tree."""

    path: tuple[int, ...]
    """The drafted ids down to it."""
    parent: int
    chance: float
    """That it is reached."""
    state: Any = None
    """What is expected after it, as the drafter describes it."""


class Guess(NamedTuple):
    """An id that may come after a node."""

    x: int
    chance: float
    """That it comes."""
    state: Any
    """That of its node."""


def grow(
    state: Any, guesses: Callable[[Any, tuple[int, ...]], Iterable[Guess]], *, most: int, depth: int
) -> list[Node]:
    """A tree of at most `most` nodes beside the root, node 0, no deeper than `depth`; a parent comes before its nodes.

    `guesses` takes the state and the path of a node. Node i + 1 is never likelier to be reached than node i, so that
    any first part of the list is the best tree of its size.
    """
    nodes = [Node((), -1, 1.0, state)]
    heap: list[tuple[float, int, int, Guess]] = []
    order = 0
    while True:
        node = nodes[-1]
        for guess in guesses(node.state, node.path) if len(node.path) < depth else ():
            order += 1
            heapq.heappush(heap, (-node.chance * guess.chance, order, len(nodes) - 1, guess))
        if not heap or len(nodes) > most or -heap[0][0] < LEAST:
            return nodes
        chance, _, parent, guess = heapq.heappop(heap)
        nodes.append(Node((*nodes[parent].path, guess.x), parent, -chance, guess.state))
