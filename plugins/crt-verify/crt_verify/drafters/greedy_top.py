"""Greedy top: the most likely ids are children for sure, the last child is drawn off them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import attrs

from crt_verify.drafters.drafter import Ids, Shaped, counts, numbers

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from crt_verify.drafters.growth import Growth


@attrs.frozen(kw_only=True)
class GreedyTop(Shaped):
    """Of K children, the K - 1 most likely under q, then one drawn from q off them; fewer where q has fewer ids.

    With no more ids than children the last id is certain, so that a node with any child has its last one drawn.
    Source: Hu et al. (2025), arXiv:2502.18779. Among equals the smaller id is the more likely.
    """

    branching: tuple[int, ...] = attrs.field(converter=numbers, validator=counts)
    """Children of a node of each level, the root's first."""

    @property
    def shape(self) -> Ids:
        """The numbers of children."""
        return self.branching

    def siblings(self, row: Sequence[float], count: int) -> Iterator[tuple[Ids, float]]:
        """The most likely ids and each that can follow."""
        ranked = sorted((x for x, chance in enumerate(row) if chance > 0), key=lambda x: (-row[x], x))
        top, rest = ranked[: count - 1], ranked[count - 1 :]
        total = math.fsum(row[x] for x in rest)
        if not rest:
            yield tuple(top), 1.0
        for x in sorted(rest):
            yield (*top, x), row[x] / total

    def bound(self, p: Float[Tensor, "*b v"], q: Float[Tensor, "*b v"]) -> Float[Tensor, "*b"]:
        """The most that the root's children can be accepted."""
        from crt_verify.bounds import greedy_bound

        return greedy_bound(p, q, self.branching[0])

    def build(self) -> Growth:
        """Grows trees of the most likely ids and one more."""
        from crt_verify.drafters import draws
        from crt_verify.drafters.growth import ShapedGrowth

        return ShapedGrowth(self.shape, draws.off_top)
