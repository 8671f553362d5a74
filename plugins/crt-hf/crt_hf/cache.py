"""The cache of a session as transformers' attention layers use it.

Axes: b batch, t new positions, s positions seen, h heads of keys, d channels of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from transformers.cache_utils import Cache

from crt_nn.context import KVCache


class LayerCache(Cache):  # type: ignore[misc]
    """Keeps keys and values of each layer in the slots of a session's cache."""

    def __init__(self, slots: KVCache, layers: Sequence[nn.Module]) -> None:
        super().__init__(layers=[])
        self._slots, self._modules = slots, layers

    def update(
        self, key_states: Float[Tensor, "b h t d"], value_states: Float[Tensor, "b h t d"], layer_idx: int, *_: Any,
        **__: Any,
    ) -> tuple[Float[Tensor, "b h s d"], Float[Tensor, "b h s d"]]:  # fmt: skip
        """Writes keys and values, and returns all of the layer up to there."""
        new = key_states.transpose(1, 2), value_states.transpose(1, 2)
        keys, values = self._slots.update(self._modules[layer_idx], new)
        return keys.transpose(1, 2), values.transpose(1, 2)
