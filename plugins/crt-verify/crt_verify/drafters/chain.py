"""Chain: one path, id after id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import attrs

from crt_verify.drafters.drafter import Ids, Shaped
from crtcore.spec import at_least

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from crt_verify.drafters.growth import Growth


@attrs.frozen(kw_only=True)
class Chain(Shaped):
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
        """One id drawn from the row."""
        yield from (((x,), chance) for x, chance in enumerate(row) if chance > 0)

    def bound(self, p: Float[Tensor, "*b v"], q: Float[Tensor, "*b v"]) -> Float[Tensor, "*b"]:
        """The most that the root's children can be accepted."""
        from crt_verify.bounds import acceptance_bound

        return acceptance_bound(p, q, 1, replacement=True)

    def build(self) -> Growth:
        """Grows chains."""
        from crt_verify.drafters import draws
        from crt_verify.drafters.growth import ShapedGrowth

        return ShapedGrowth(self.shape, draws.independent)
