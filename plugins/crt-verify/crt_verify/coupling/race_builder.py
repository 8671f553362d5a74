"""Draft trees by a race: a node's children are ids that arrive early under the draft's row.

Axes: b batch, w nodes of a level, k children of a node, u integers, v vocabulary.
"""

from __future__ import annotations

from itertools import accumulate
from operator import mul

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_verify.coupling.race import FIRST, OUTPUT, Race, exponentials, first, sibling_times
from crt_verify.drafters.tree_builder import Level, TreeBuilder


class RaceBuilder(TreeBuilder):
    """Gives each node of a level the same number of children; all nodes of a level share the times of its position.

    The children are the earliest under the output's own times, or each the first under times of its own (`own_times`).
    """

    def __init__(self, branching: tuple[int, ...], race: Race, *, own_times: bool) -> None:
        self.branching = branching
        self.race = race
        self.widths = tuple(accumulate(branching, mul))
        self.vectors = [range(FIRST + count) if own_times and count > 1 else (OUTPUT,) for count in branching]
        self.uniforms = tuple(race.vocabulary * len(vectors) for vectors in self.vectors)

    def integers(self, position: Int[Tensor, " b"]) -> Int[Tensor, "b u"]:
        """What a tree takes whose first level drafts ids of these positions."""
        levels = [
            self.race.integers((position + level)[:, None], vector)
            for level, vectors in enumerate(self.vectors)
            for vector in vectors
        ]
        return torch.cat(levels, -1)[:, 0]

    def initial_state(self, rows: int, device: torch.device) -> Float[Tensor, "b 1 s"]:
        """Nothing."""
        return torch.empty(rows, 1, 0, device=device)

    def expand(self, depth: int, level: Level, q: Float[Tensor, "b w v"], uniforms: Int[Tensor, "b u"]) -> Level:
        """Each node's children side by side; those by own times may be equal."""
        count = self.branching[depth]
        integers = uniforms.reshape(len(q), -1, q.shape[-1])  # b vectors v
        if len(self.vectors[depth]) == 1:
            ids = earliest(exponentials(integers), q, count)
        else:
            ids = torch.stack([first(times[:, None], q) for times in sibling_times(integers).unbind(1)], -1)
        ids = torch.where(level.ids[..., None] >= 0, ids, -1).flatten(1)
        above = torch.arange(ids.shape[1], device=ids.device) // count
        return Level(ids, above.expand_as(ids), level.state.repeat_interleave(count, 1))


def earliest(times: Float[Tensor, "b 1 v"], q: Float[Tensor, "b w v"], count: int) -> Int[Tensor, "b w k"]:
    """The first `count` ids to arrive, in order; -1 where q has fewer."""
    if count == 1:
        return first(times, q)[..., None]
    arrivals, ids = (times / q.double()).topk(min(count, q.shape[-1]), -1, largest=False)  # b w k
    ids = torch.where(arrivals < torch.inf, ids, -1)
    return torch.nn.functional.pad(ids, (0, count - ids.shape[-1]), value=-1)
