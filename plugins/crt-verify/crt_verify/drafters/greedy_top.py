"""Greedy top: the most likely ids are children for sure, and the last child is sampled from the others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import attrs

from crt_verify.counts import counts
from crt_verify.drafters.drafter import FixedShape, Ids, numbers

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from crt_verify.drafters.tree_builder import TreeBuilder


@attrs.frozen(kw_only=True)
class GreedyTop(FixedShape):
    """Of K children, the K - 1 most likely under q, then one sampled from the rest of q; fewer where q has fewer ids.

    With no more ids than children the last id is certain, so the last child of a node is always a sampled one.
    Source: Hu et al. (2025), arXiv:2502.18779. Of equally likely ids the smaller one comes first.
    """

    branching: tuple[int, ...] = attrs.field(converter=numbers, validator=counts)
    """Children of a node of each level, the root's first."""

    @property
    def shape(self) -> Ids:
        """The numbers of children."""
        return self.branching

    def siblings(self, row: Sequence[float], count: int) -> Iterator[tuple[Ids, float]]:
        """The most likely ids, with each id that can follow them."""
        ranked = sorted((x for x, chance in enumerate(row) if chance > 0), key=lambda x: (-row[x], x))
        top, rest = ranked[: count - 1], ranked[count - 1 :]
        total = math.fsum(row[x] for x in rest)
        if not rest:
            yield tuple(top), 1.0
        for x in sorted(rest):
            yield (*top, x), row[x] / total

    def bound(self, p: Float[Tensor, "*b v"], q: Float[Tensor, "*b v"]) -> Float[Tensor, "*b"]:
        """The largest probability with which any exact rule accepts a child of the root."""
        from crt_verify.bounds import greedy_bound

        return greedy_bound(p, q, self.branching[0])

    def build(self) -> TreeBuilder:
        """A builder of trees with the most likely ids and one more."""
        from crt_verify.drafters import children
        from crt_verify.drafters.tree_builder import FixedShapeBuilder

        return FixedShapeBuilder(self.shape, children.greedy_top)
