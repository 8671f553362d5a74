"""How many nodes of its draft trees a round is worth, by how likely they are to be reached and what a step costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from crt_verify.lookup.drafts import Drafts
from crt_verify.lookup.growth import Node
from crt_verify.lookup.step_cost import StepCost


class Choice(NamedTuple):
    """The shape of a round."""

    nodes: int
    """Drafted nodes of a row at most; 0 is a plain step."""
    gain: float
    """Expected ids a second, over those of a plain step."""


def choose(trees: Sequence[Sequence[float]], cost: StepCost) -> Choice:
    """The nodes of the most expected ids a second; `trees` have the chances of the nodes of each row, in their order.

    All rows of a step have as many columns. A step yields an id of each row, and one more for each node reached.
    """
    ids = float(len(trees))
    plain = ids / cost(1)
    best = Choice(0, 1.0)
    for nodes in range(1, max(map(len, trees), default=0) + 1):
        ids += sum(tree[nodes - 1] for tree in trees if len(tree) >= nodes)
        if (gain := ids / cost(1 + nodes) / plain) > best.gain:
            best = Choice(nodes, gain)
    return best


class Shaping:
    """Proposes the trees of rounds, of up to `most` drafted nodes, and keeps what was chosen.

    With a cost, a tree is cut to the nodes that pay. Its choice depends on what was emitted before, and on no draw to
    come.
    """

    def __init__(self, most: int, cost: StepCost | None) -> None:
        self._most = most
        self._cost = cost
        self._choices: list[Choice] = []

    def trees(self, rows: Sequence[Drafts | None], depths: Sequence[int]) -> list[list[Node]]:
        """A tree for each row that is active, no deeper than `depths`, and none for the others."""
        trees = [
            [] if drafts is None else drafts.propose(self._most, depth)
            for drafts, depth in zip(rows, depths, strict=True)
        ]
        if self._cost is None:
            return trees
        chances = [drafts.chances(tree) for drafts, tree in zip(rows, trees, strict=True) if drafts is not None]
        self._choices.append(choose(chances, self._cost))
        return [tree[: 1 + self._choices[-1].nodes] for tree in trees]

    def notes(self) -> tuple[str, ...]:
        """The cost and the choices, for the record."""
        if self._cost is None or not self._choices:
            return ()
        sizes = [choice.nodes for choice in self._choices]
        gain = sum(choice.gain for choice in self._choices) / len(sizes)
        rounds = f"{len(sizes)} rounds by cost, {sizes.count(0)} of them plain steps"
        drafted = f"{sum(sizes) / len(sizes):.1f} drafted nodes in the mean"
        return str(self._cost), f"{rounds}; {drafted}; {gain:.2f} times the ids a second of plain steps expected"
