"""Held-out samples that are continued.

Axes: b batch, n ids of a sample, p ids of a prompt.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor


class Samples(NamedTuple):
    """Prompts and their true continuations."""

    ids: Int[Tensor, "b n"]
    """-1 where absent, at the right end."""
    starts: Int[Tensor, " b"]
    """Ids of each prompt."""
    class_ids: Int[Tensor, " b"] | None

    @property
    def prompts(self) -> Int[Tensor, "b p"]:
        """The prompts, -1 behind a shorter one."""
        widest = int(self.starts.max())
        places = torch.arange(widest, device=self.ids.device)
        return self.ids[:, :widest].where(places < self.starts[:, None], -1)

    @property
    def true(self) -> list[list[int]]:
        """The ids behind each prompt."""
        rows = zip(self.ids.tolist(), self.starts.tolist(), strict=True)
        return [[x for x in row[start:] if x >= 0] for row, start in rows]

    def at(self, row: slice) -> Samples:
        """Some of the samples."""
        return Samples(self.ids[row], self.starts[row], None if self.class_ids is None else self.class_ids[row])

    def to(self, device: torch.device) -> Samples:
        """The samples on a device."""
        return Samples._make(value if value is None else value.to(device) for value in self)
