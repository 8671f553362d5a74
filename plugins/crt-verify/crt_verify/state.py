"""The state of a batch that is being decoded: emitted ids, active rows, and counts.

Axes: b batch, n ids of a row, k ids emitted at one target call, s target calls.
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from crtcore import Limits
from crtcore.kinds import Generation


class DecodingState:
    """Emitted ids and counts, updated without reading a value on the host."""

    def __init__(self, like: Int[Tensor, " b"], limits: Limits) -> None:
        self.limits = limits
        self.stop = like.new_tensor(limits.stop)
        self.ids = like.new_full((len(like), limits.length + 1), -1)  # the last column takes what is absent
        self.count = torch.zeros_like(like)
        self.proposed = torch.zeros_like(like)
        self.active = torch.full_like(like, limits.length > 0, dtype=torch.bool)
        self.accepted: list[Int[Tensor, " b"]] = []

    @property
    def remaining(self) -> Int[Tensor, " b"]:
        """Ids that each row may still emit; 0 once it has ended."""
        return torch.where(self.active, self.limits.length - self.count, 0)

    @property
    def last(self) -> Int[Tensor, " b"]:
        """The last emitted id of each active row; -1 for the others."""
        last = self.ids.gather(1, (self.count - 1).clamp(min=0)[:, None])[:, 0]
        return torch.where(self.active, last, -1)

    def emit(self, block: Int[Tensor, "b k"], *, proposed: Int[Tensor, " b"], accepted: Int[Tensor, " b"]) -> None:
        """Appends the ids of a target call to each active row, up to its first stop id.

        Drafted ids behind a stop id count as proposed and not as accepted.
        """
        stops = torch.isin(block, self.stop).long()
        kept = torch.where(((stops.cumsum(-1) - stops) == 0) & self.active[:, None], block, -1)  # b k
        size = (kept >= 0).sum(-1)
        places = self.count[:, None] + torch.arange(block.shape[1], device=block.device)
        self.ids.scatter_(1, torch.where(kept >= 0, places, self.limits.length), kept)
        self.proposed += torch.where(self.active, proposed, 0)
        self.accepted.append(torch.where(self.active, torch.minimum(accepted, size), -1))
        self.count = self.count + size
        stopped = torch.isin(kept, self.stop).any(-1)
        self.active = self.active & ~stopped & (size > 0) & (self.count < self.limits.length)

    def generation(self, draft_calls: Int[Tensor, " b"], seconds: float) -> Generation:
        """What the decoder returns."""
        empty = self.ids.new_zeros((len(self.ids), 0))
        accepted = torch.stack(self.accepted, 1) if self.accepted else empty  # b s
        calls = (accepted >= 0).sum(-1)
        return Generation(self.ids[:, :-1], accepted, calls, draft_calls, self.proposed, seconds)
