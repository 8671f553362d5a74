"""Verification from the root, as a frame whose parts can be exchanged: exact as it stands, a mistake with another part.

Source: Leviathan et al. (2023), arXiv:2211.17192, algorithm 1, for chains; Jeon et al. (2024), arXiv:2402.14160, for
siblings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np

from crt_verify.audit.branches import Draws
from crt_verify.audit.drafts import DraftTree, Rows


def positive(row: Any) -> Any:
    """The positive part."""
    return np.maximum(row, 0)


def normal(row: Any) -> Any:
    """A row that sums to 1, or zeros."""
    return row / max(row.sum(), 1e-300)


@attrs.frozen
class Turn:
    """A drafted id when it is tested: `rest` is what is left of p, `left` of q, both normalised."""

    x: int
    rest: Any
    left: Any
    p: Any
    """The target's own row."""
    q: Any
    """The draft's own row."""
    before: tuple[float, ...] = ()
    """The ratios of siblings that were rejected before."""


def ratio(turn: Turn) -> float:
    """What an id is accepted with, rest / left; above 1 it is accepted."""
    return float(turn.rest[turn.x] / max(turn.left[turn.x], 1e-300))


def residual(turn: Turn) -> Any:
    """What is left of p once an id is rejected."""
    return normal(positive(turn.rest - turn.left))


def kept(turn: Turn) -> Any:
    """What is left of q once an id is rejected, where siblings may be equal."""
    return turn.left


def without(turn: Turn) -> Any:
    """What is left of q once an id is rejected, where siblings are distinct."""
    left = turn.left.copy()
    left[turn.x] = 0
    return normal(left)


def own(rows: Rows, _: DraftTree, node: int) -> Any:
    """The row after a node."""
    return rows[node]


def drawn(children: list[int], _: DraftTree, __: Any, ___: Any) -> list[int]:
    """Children in draw order."""
    return children


@attrs.frozen
class End:
    """Where the walk ends: what is left of p, the rows of both, and the ids that were rejected."""

    rest: Any
    p: Any
    q: Any
    rejected: tuple[int, ...]
    ratios: tuple[float, ...] = ()
    """What these were accepted with."""


def rest_or_p(end: End) -> Any:
    """What the last id is drawn from: what is left of p, or p where rounding left nothing."""
    return end.rest if end.rest.sum() > 0 else end.p


@attrs.frozen(kw_only=True)
class Walk:
    """Tests siblings one after another, each against what the rejections before it left."""

    ratio: Callable[[Turn], float] = ratio
    residual: Callable[[Turn], Any] = residual
    left: Callable[[Turn], Any] = kept
    p: Callable[[Rows, DraftTree, int], Any] = own
    q: Callable[[Rows, DraftTree, int], Any] = own
    order: Callable[[list[int], DraftTree, Any, Any], list[int]] = drawn
    last: Callable[[End], Any] = rest_or_p
    """What the last id is drawn from."""
    stop: Callable[[Turn], bool] = lambda turn: False
    """Whether the walk ends before an id is tested."""

    def __call__(self, tree: DraftTree, p: Rows, q: Rows, draws: Draws) -> list[int]:
        """The accepted ids, and one more."""
        node, ids = 0, list[int]()
        while True:
            row_p, row_q = self.p(p, tree, node), self.q(q, tree, node)
            rest, left = row_p, row_q
            before: tuple[float, ...] = ()
            rejected: tuple[int, ...] = ()
            accepted = None
            for child in self.order(tree.children(node), tree, row_p, row_q):
                turn = Turn(tree.token(child), rest, left, row_p, row_q, before)
                if self.stop(turn):
                    break
                chance = self.ratio(turn)
                if draws.accept(chance):
                    accepted = child
                    break
                before, rejected = (*before, chance), (*rejected, turn.x)
                rest, left = self.residual(turn), self.left(turn)
            if accepted is None:
                return [*ids, draws.choice(self.last(End(rest, row_p, row_q, rejected, before)))]
            ids.append(tree.token(accepted))
            node = accepted
