"""Branching: each node's children are drawn without replacement, in draw order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import TYPE_CHECKING

import attrs

from crt_verify.drafters.drafter import Ids, Shaped, counts, numbers

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from crt_verify.drafters.growth import Growth


@attrs.frozen(kw_only=True)
class Branching(Shaped):
    """Children drawn without replacement, a number for each level; fewer where q has fewer ids.

    Source: Jeon et al. (2024), arXiv:2402.14160, RSD-C.
    """

    branching: tuple[int, ...] = attrs.field(converter=numbers, validator=counts)
    """Children of a node of each level, the root's first."""

    @property
    def shape(self) -> Ids:
        """The numbers of children."""
        return self.branching

    def siblings(self, row: Sequence[float], count: int) -> Iterator[tuple[Ids, float]]:
        """Ids drawn from what is left of the row, one after another."""
        possible = [x for x, chance in enumerate(row) if chance > 0]
        for ids in permutations(possible, min(count, len(possible))):
            left, chance = set(possible), 1.0
            for x in ids:
                chance *= row[x] / math.fsum(row[y] for y in left)
                left.remove(x)
            yield ids, chance

    def bound(self, p: Float[Tensor, "*b v"], q: Float[Tensor, "*b v"]) -> Float[Tensor, "*b"]:
        """The most that the root's children can be accepted."""
        from crt_verify.bounds import acceptance_bound

        return acceptance_bound(p, q, self.branching[0], replacement=False)

    def build(self) -> Growth:
        """Grows trees of distinct siblings."""
        from crt_verify.drafters import draws
        from crt_verify.drafters.growth import ShapedGrowth

        return ShapedGrowth(self.shape, draws.distinct)
