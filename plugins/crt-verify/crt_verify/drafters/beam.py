"""Beam: the paths that a stochastic beam search keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs

from crt_verify.drafters.drafter import Drafter, Ids, Rows
from crt_verify.tree import Tree
from crtcore.spec import at_least

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from crt_verify.drafters.tree_builder import TreeBuilder


@attrs.frozen(kw_only=True)
class Beam(Drafter):
    """Stochastic beam search: `width` paths at each level, sampled without replacement from the paths of that length.

    Source: Kool et al. (2019), arXiv:1903.06059; Jeon et al. (2024), arXiv:2402.14160, RSD-S.
    """

    width: int = attrs.field(validator=at_least(1))
    """Nodes of a level."""
    length: int = attrs.field(validator=at_least(1))
    """Levels."""

    @property
    def widths(self) -> Ids:
        """The same number of nodes on every level."""
        return (self.width,) * self.length

    def distribution(self, q: Rows, depth: int) -> Iterator[tuple[Tree, float]]:
        """Not available for beams.

        Raises: ValueError.
        """
        raise ValueError(
            "expected a drafter whose trees can be enumerated, got a beam: how many children a node keeps depends on "
            "arrival times, which are real numbers; average the rule's exact distribution over many sampled trees"
        )

    def bound(self, p: Float[Tensor, "*b v"], q: Float[Tensor, "*b v"]) -> Float[Tensor, "*b"]:
        """The largest probability with which any exact rule accepts a child of the root."""
        from crt_verify.bounds import acceptance_bound

        return acceptance_bound(p, q, self.width, replacement=False)

    def build(self) -> TreeBuilder:
        """A builder of beams."""
        from crt_verify.drafters.beam_builder import BeamBuilder

        return BeamBuilder(self.width, self.length)
