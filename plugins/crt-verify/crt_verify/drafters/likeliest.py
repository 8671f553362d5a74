"""Likeliest: the nodes that a draft reaches with the greatest chances, none of them sampled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import attrs

from crt_verify.drafters.drafter import Drafter, Ids, Rows
from crt_verify.tree import Tree
from crtcore.settings import Sampling
from crtcore.spec import at_least

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from crt_verify.drafters.tree_builder import TreeBuilder


class _Path(NamedTuple):
    """A path of a tree, and the chance that the draft takes it."""

    ids: Ids
    chance: float


@attrs.frozen(kw_only=True)
class Likeliest(Drafter):
    """Of the likeliest paths of each length, `width` of each, the `size` likeliest nodes.

    The draft's own distribution chooses, whatever temperature and filters the target is sampled with.
    Source: Li et al. (2024), arXiv:2406.16858, section 4. Of equally likely ids of a node any may come first.
    """

    width: int = attrs.field(validator=at_least(1))
    """Paths of each length that are looked at."""
    length: int = attrs.field(validator=at_least(1))
    """Ids of a path at most."""
    size: int = attrs.field(validator=at_least(1))
    """Drafted nodes."""

    @property
    def widths(self) -> Ids:
        """The same number of nodes on every level."""
        return (self.width,) * self.length

    @property
    def nodes(self) -> int:
        """The most nodes of a tree, the root counted."""
        return 1 + min(self.size, self.width * self.length)

    def sampling(self, sampling: Sampling) -> Sampling:
        """The draft's own distribution, without the target's temperature and filters."""
        return Sampling(banned=sampling.banned)

    @property
    def bounded(self) -> bool:
        """Whether no path is cut: else likelier nodes of deeper levels may leave out children of the root."""
        return self.size >= self.width * self.length

    def distribution(self, q: Rows, depth: int) -> Iterator[tuple[Tree, float]]:
        """The one tree."""
        levels: list[list[_Path]] = [[_Path((), 1.0)]]
        for _ in range(min(depth, self.length)):
            grown = [
                _Path((*path.ids, x), path.chance * float(chance))
                for path in levels[-1]
                for x, chance in enumerate(_floats(q(path.ids)))
                if chance > 0
            ]
            levels.append(sorted(grown, key=lambda path: -path.chance)[: self.width])
        drafted = sorted((path for level in levels[1:] for path in level), key=lambda path: -path.chance)
        kept = sorted(drafted[: self.size], key=lambda path: len(path.ids))
        places = {path.ids: place for place, path in enumerate([levels[0][0], *kept])}
        yield (
            Tree(
                (-1, *(places[path.ids[:-1]] for path in kept)),
                (-1, *(path.ids[-1] for path in kept)),
            ),
            1.0,
        )

    def bound(self, p: Float[Tensor, "*b v"], q: Float[Tensor, "*b v"]) -> Float[Tensor, "*b"]:
        """The largest probability with which any exact rule accepts a child of the root."""
        import torch

        children = q.topk(min(self.width, self.size, q.shape[-1])).indices
        return torch.as_tensor(p.gather(-1, children).sum(-1))

    def build(self) -> TreeBuilder:
        """A builder of such trees."""
        from crt_verify.drafters.likeliest_builder import LikeliestBuilder

        return LikeliestBuilder(self.width, self.length, self.size)


def _floats(row: object) -> Sequence[float]:
    return [float(x) for x in row]  # type: ignore[attr-defined]
