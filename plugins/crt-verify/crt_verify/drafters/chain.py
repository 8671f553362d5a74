"""Chain: one path, id after id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import attrs

from crt_verify.drafters.drafter import FixedShape, Ids
from crtcore.spec import at_least

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from crt_verify.drafters.tree_builder import TreeBuilder


@attrs.frozen(kw_only=True)
class Chain(FixedShape):
    """A chain of drafted ids.

    Source: Leviathan et al. (2023), arXiv:2211.17192.
    """

    length: int = attrs.field(validator=at_least(1))
    """Drafted ids."""

    @property
    def shape(self) -> Ids:
        """One child each."""
        return (1,) * self.length

    def siblings(self, row: Sequence[float], count: int) -> Iterator[tuple[Ids, float]]:
        """One id sampled from the row."""
        yield from (((x,), chance) for x, chance in enumerate(row) if chance > 0)

    def bound(self, p: Float[Tensor, "*b v"], q: Float[Tensor, "*b v"]) -> Float[Tensor, "*b"]:
        """The largest probability with which any exact rule accepts a child of the root."""
        from crt_verify.bounds import acceptance_bound

        return acceptance_bound(p, q, 1, replacement=True)

    def build(self) -> TreeBuilder:
        """A builder of chains."""
        from crt_verify.drafters import children
        from crt_verify.drafters.tree_builder import FixedShapeBuilder

        return FixedShapeBuilder(self.shape, children.independent)
