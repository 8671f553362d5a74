"""Branching: each node's children are sampled without replacement, in draw order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import TYPE_CHECKING

import attrs

from crt_verify.counts import counts
from crt_verify.drafters.drafter import FixedShape, Ids, numbers

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from crt_verify.drafters.tree_builder import TreeBuilder


@attrs.frozen(kw_only=True)
class Branching(FixedShape):
    """Children sampled without replacement, `branching` of them on each level; fewer where q has fewer ids.

    Source: Jeon et al. (2024), arXiv:2402.14160, RSD-C.
    """

    branching: tuple[int, ...] = attrs.field(converter=numbers, validator=counts)
    """Children of a node of each level, the root's first."""

    @property
    def shape(self) -> Ids:
        """The numbers of children."""
        return self.branching

    def siblings(self, row: Sequence[float], count: int) -> Iterator[tuple[Ids, float]]:
        """Ids sampled one after another from what is left of the row."""
        possible = [x for x, chance in enumerate(row) if chance > 0]
        for ids in permutations(possible, min(count, len(possible))):
            left, chance = set(possible), 1.0
            for x in ids:
                chance *= row[x] / math.fsum(row[y] for y in left)
                left.remove(x)
            yield ids, chance

    def bound(self, p: Float[Tensor, "*b v"], q: Float[Tensor, "*b v"]) -> Float[Tensor, "*b"]:
        """The largest probability with which any exact rule accepts a child of the root."""
        from crt_verify.bounds import acceptance_bound

        return acceptance_bound(p, q, self.branching[0], replacement=False)

    def build(self) -> TreeBuilder:
        """A builder of trees with distinct siblings."""
        from crt_verify.drafters import children
        from crt_verify.drafters.tree_builder import FixedShapeBuilder

        return FixedShapeBuilder(self.shape, children.distinct)
