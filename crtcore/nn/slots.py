"""The bookkeeping that sessions share: limits by shapes, and who descends from whom.

Axes: b batch, t new nodes, m tentative nodes.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor


class Slots:
    """How many ids a session has been given, by shapes alone."""

    def __init__(self, capacity: int, room: int) -> None:
        self.capacity = capacity
        self.room = room
        self.committed = 0
        """Most ids that a row can have committed."""
        self.tentative = 0
        """Columns since the last commit."""

    def extend(self, ids: Int[Tensor, "b t"], parents: Int[Tensor, "b t"] | None) -> Int[Tensor, "b t"]:
        """Takes new columns and returns their parents, where None is a chain going on from the last column.

        Raises: ValueError if there is no room for them.
        """
        first, self.tentative = self.tentative, self.tentative + ids.shape[1]
        if self.tentative > self.room:
            raise ValueError(f"expected at most {self.room} tentative ids (room), got {self.tentative}")
        if parents is not None:
            return parents
        return torch.arange(first - 1, self.tentative - 1, device=ids.device).expand_as(ids)

    def commit(self, path: Int[Tensor, "b k"]) -> None:
        """Takes the columns of `path` for good; absent entries count, as only shapes are known here.

        Raises: ValueError if the session cannot hold so many.
        """
        self.committed, self.tentative = self.committed + path.shape[1], 0
        if self.committed > self.capacity:
            raise ValueError(
                f"expected at most {self.capacity} committed ids (capacity), got {self.committed} by the paths' widths"
            )


def lineage(parents: Int[Tensor, "b m"], present: Bool[Tensor, "b m"]) -> Bool[Tensor, "b m m"]:
    """Each node's row marks the present ones among itself and its ancestors.

    Cost: log2(m) rounds; in each, a node takes over the marks of the furthest ancestor it has reached.
    """
    batch, nodes = parents.shape
    jump = torch.cat((parents.new_zeros(batch, 1), parents + 1), 1)  # b m+1; node 0 is the tip, its own parent
    marks = torch.cat((present.new_zeros(batch, 1, nodes), torch.diag_embed(present)), 1)  # b m+1 m
    for _ in range(nodes.bit_length()):
        marks = marks | marks.gather(1, jump[..., None].expand(-1, -1, nodes))
        jump = jump.gather(1, jump)
    return marks[:, 1:]
