"""What decoding reads of drafts from texts: trees, how far they are trusted, and learning from what came."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Sequence
from typing import Any

from crt_verify.lookup.growth import Guess, Node, grow
from crt_verify.lookup.rates import Rates, Trust


class Drafts(abc.ABC):
    """The text of one row, and the draft trees that it suggests."""

    def __init__(self) -> None:
        self.rates = Rates()
        self.trust = Trust()
        self._nodes: list[Node] = []

    def propose(self, most: int, depth: int) -> list[Node]:
        """A tree of at most `most` nodes beside the root, as `grow` orders them, no deeper than `depth`."""
        self._nodes = grow(self._start(), self._guesses, most=most, depth=depth)
        return self._nodes

    def chances(self, nodes: Sequence[Node]) -> list[float]:
        """The chances that the nodes beside the root are reached, by how far earlier ones came true."""
        return [node.chance * self.trust.factor ** len(node.path) for node in nodes[1:]]

    def observe(self, emitted: Sequence[int]) -> None:
        """Goes on by the ids that came, and learns from the last proposal which guesses were right.

        What was proposed counts whether it was drafted or not.
        """
        if self._nodes:
            self._note(self._walked(emitted))
        self._nodes = []
        for x in emitted:
            self._append(x)

    def _walked(self, emitted: Iterable[int]) -> list[tuple[Node, int]]:
        """The nodes that the ids led through, each with the id that came after it; trust learns from them."""
        nodes = self._nodes
        below = {(node.parent, node.path[-1]): index for index, node in enumerate(nodes) if index}
        expected = [0.0] * len(nodes)
        for node in nodes[1:]:
            expected[node.parent] += node.chance / nodes[node.parent].chance
        steps, at = [], 0
        for x in emitted:
            if expected[at]:
                self.trust.note(expected[at], (at, x) in below)
            steps.append((nodes[at], x))
            if (at := below.get((at, x), -1)) < 0:
                break
        return steps

    @abc.abstractmethod
    def _start(self) -> Any:
        """The state of the root: what is expected after the text."""

    @abc.abstractmethod
    def _guesses(self, state: Any, path: tuple[int, ...]) -> Iterable[Guess]:
        """Ids that may come after a node of that state and path."""

    @abc.abstractmethod
    def _note(self, steps: Sequence[tuple[Node, int]]) -> None:
        """Learns from nodes and the ids that came after them."""

    @abc.abstractmethod
    def _append(self, x: int) -> None:
        """Goes on by one id."""
