"""Scope: what a sub-layer may look at beside its own input.

Axes: b batch, t new positions, s positions seen, k committed positions.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn


class KVCache:
    """What layers wrote in earlier calls: numbered slots, as many for every layer, made when it first writes."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.offset = 0
        """The slot that the next call writes first."""
        self._tensors: dict[nn.Module, tuple[Tensor, ...]] = {}

    def update(self, layer: nn.Module, new: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Writes tensors `b t ...` of a layer from `offset` on; all that it has written up to there."""
        if layer not in self._tensors:
            self._tensors[layer] = tuple(part.new_zeros(part.shape[0], self.slots, *part.shape[2:]) for part in new)
        stop = self.offset + new[0].shape[1]
        for shelf, part in zip(self._tensors[layer], new, strict=True):
            shelf[:, self.offset : stop] = part
        return tuple(shelf[:, :stop] for shelf in self._tensors[layer])

    def move(self, source: Int[Tensor, "b k"], target: Int[Tensor, "b k"]) -> None:
        """Copies slots row by row, all read before any is written."""
        rows = torch.arange(len(source), device=source.device)[:, None]
        for shelves in self._tensors.values():
            for shelf in shelves:
                shelf[rows, target] = shelf[rows, source]


class AttentionContext(NamedTuple):
    """Where the new positions stand, what they see, and when."""

    positions: Int[Tensor, "b t"]
    visible: Bool[Tensor, "b t s"] | None = None
    """None: each position sees itself and those before it."""
    cache: KVCache | None = None
    step: Int[Tensor, ""] | None = None
    """Which step of training this is; None: it is none, and nothing is dropped."""
    ids: Int[Tensor, "b t"] | None = None
    """What stands there, -1 where that is no id; None: nobody told."""

    def update(self, layer: nn.Module, *new: Tensor) -> tuple[Tensor, ...]:
        """The tensors `b t ...` of a layer, after those it wrote in earlier calls: `b s ...`."""
        return new if self.cache is None else self.cache.update(layer, new)
