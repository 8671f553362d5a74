"""What a sub-layer reads beside its own input: positions, a mask and the KV cache.

Axes: b batch, t new positions, s positions seen, k committed positions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor, nn

from crtcore.noise import Noise


class KVCache:
    """Keys and values of earlier calls, in numbered slots that a layer allocates when it first writes.

    A layer may keep other tensors `b t ...` the same way.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.offset = 0
        """The first slot that the next call writes."""
        self._tensors: dict[nn.Module, tuple[Tensor, ...]] = {}

    def update(self, layer: nn.Module, new: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Writes tensors `b t ...` of a layer from `offset` on, and returns all its slots up to there, `b s ...`."""
        if layer not in self._tensors:
            self._tensors[layer] = tuple(part.new_zeros(part.shape[0], self.slots, *part.shape[2:]) for part in new)
        stop = self.offset + new[0].shape[1]
        for kept, part in zip(self._tensors[layer], new, strict=True):
            kept[:, self.offset : stop] = part
        return tuple(kept[:, :stop] for kept in self._tensors[layer])

    def whole(self, layer: nn.Module, like: Tensor, *shape: int) -> Tensor:
        """All slots of a layer, `b slots ...`, with zeros where nothing was written, for who writes them by itself."""
        if layer not in self._tensors:
            self._tensors[layer] = (like.new_zeros(len(like), self.slots, *shape),)
        return self._tensors[layer][0]

    def move(self, source: Int[Tensor, "b k"], target: Int[Tensor, "b k"]) -> None:
        """Copies slots within each row; all are read before any is written.

        Cost: rows are laid in one line, which takes a third of the time of an index for each axis.
        """
        first = self.slots * torch.arange(len(source), device=source.device)[:, None]
        there, here = (first + source).flatten(), (first + target).flatten()
        for tensors in self._tensors.values():
            for kept in tensors:
                line = kept.flatten(0, 1)
                line.index_copy_(0, here, line.index_select(0, there))

    def narrow(self, rows: Int[Tensor, " k"]) -> None:
        """Keeps these rows alone, in this order."""
        self._tensors = {
            layer: tuple(kept.index_select(0, rows) for kept in tensors) for layer, tensors in self._tensors.items()
        }


class AttentionContext(NamedTuple):
    """Positions of the new features, what they attend to, and the noise of a training step."""

    positions: Int[Tensor, "b t"]
    visible: Bool[Tensor, "b t s"] | None = None
    """What each position attends to; None: itself and those before it."""
    cache: KVCache | None = None
    noise: Noise | None = None
    """A seed for each sample; None: nothing is dropped."""
    ids: Int[Tensor, "b t"] | None = None
    """The id at each position, -1 where there is none; None: the ids are not given."""
    shared: dict[Any, Tensor] | None = None
    """What layers make of the positions alone, so that it is made once; None: each makes its own."""
    streams: dict[int, Tensor] | None = None
    """Where a stack leaves the stream `b t w` after each of its layers, which count from 1; None: nowhere."""

    def under(self, name: str) -> AttentionContext:
        """The context of an inner part: its noise is independent of that of other parts."""
        return self if self.noise is None else self._replace(noise=self.noise.under(name))

    def once(self, key: Any, make: Callable[[], Tensor]) -> Shaped[Tensor, "..."]:
        """What `make` returns, made by the first layer that asks for this key."""
        if self.shared is None:
            return make()
        if key not in self.shared:
            self.shared[key] = make()
        return self.shared[key]

    def update(self, layer: nn.Module, *new: Tensor) -> tuple[Tensor, ...]:
        """Caches tensors `b t ...` of a layer, and returns them behind those of earlier calls, `b s ...`."""
        return new if self.cache is None else self.cache.update(layer, new)
