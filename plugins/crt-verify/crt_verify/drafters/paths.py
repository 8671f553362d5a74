"""Paths: several chains drawn independently of each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING

import attrs

from crt_verify.drafters.drafter import Ids, Shaped
from crtcore.spec import at_least

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from crt_verify.drafters.growth import Growth


@attrs.frozen(kw_only=True)
class Paths(Shaped):
    """Independent paths, unmerged: equal ids of two paths stay two nodes.

    Source: Sun et al. (2023), arXiv:2310.15141.
    """

    paths: int = attrs.field(validator=at_least(1))
    """How many paths."""
    length: int = attrs.field(validator=at_least(1))
    """Drafted ids of a path."""

    @property
    def shape(self) -> Ids:
        """The root has all paths, every other node one child."""
        return (self.paths, *(1,) * (self.length - 1))

    def siblings(self, row: Sequence[float], count: int) -> Iterator[tuple[Ids, float]]:
        """Ids drawn from the row with replacement."""
        possible = [x for x, chance in enumerate(row) if chance > 0]
        for ids in product(possible, repeat=count):
            yield ids, math.prod(row[x] for x in ids)

    def bound(self, p: Float[Tensor, "*b v"], q: Float[Tensor, "*b v"]) -> Float[Tensor, "*b"]:
        """The most that the root's children can be accepted."""
        from crt_verify.bounds import acceptance_bound

        return acceptance_bound(p, q, self.paths, replacement=True)

    def build(self) -> Growth:
        """Grows independent paths."""
        from crt_verify.drafters import draws
        from crt_verify.drafters.growth import ShapedGrowth

        return ShapedGrowth(self.shape, draws.independent)
