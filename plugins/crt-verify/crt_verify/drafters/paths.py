"""Paths: several independent chains."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING

import attrs

from crt_verify.drafters.drafter import FixedShape, Ids
from crtcore.spec import at_least

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from crt_verify.drafters.tree_builder import TreeBuilder


@attrs.frozen(kw_only=True)
class Paths(FixedShape):
    """Independent paths that are not merged: equal ids of two paths are two nodes.

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
        """Ids sampled from the row with replacement."""
        possible = [x for x, chance in enumerate(row) if chance > 0]
        for ids in product(possible, repeat=count):
            yield ids, math.prod(row[x] for x in ids)

    def bound(self, p: Float[Tensor, "*b v"], q: Float[Tensor, "*b v"]) -> Float[Tensor, "*b"]:
        """The largest probability with which any exact rule accepts a child of the root."""
        from crt_verify.bounds import acceptance_bound

        return acceptance_bound(p, q, self.paths, replacement=True)

    def build(self) -> TreeBuilder:
        """A builder of independent paths."""
        from crt_verify.drafters import children
        from crt_verify.drafters.tree_builder import FixedShapeBuilder

        return FixedShapeBuilder(self.shape, children.independent)
