"""Shapes of Llamas, and the published ones by name, free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

LlamaSize: TypeAlias = Literal["Llama-3.2-1B", "Llama-3.2-3B", "Llama-3.1-8B"]


class RopeScaling(NamedTuple):
    """Scaling of rotary positions beyond the length of the first training.

    Source: huggingface/transformers, modeling_rope_utils.py, `_compute_llama3_parameters`.
    """

    factor: float
    """Slow pairs of channels turn slower by this factor."""
    low: float
    """Pairs with fewer turns than this over the original length are slow."""
    high: float
    """Pairs with more turns than this keep their speed."""
    original: int
    """Length of the first training."""


class LlamaShape(NamedTuple):
    """All that the logits of a Llama depend on beside its weights."""

    layers: int
    width: int
    heads: int
    key_heads: int
    """Heads of keys and values; each serves heads / key_heads query heads."""
    hidden: int
    """Channels inside a feed-forward layer."""
    tied: bool
    """Whether the output layer is the embedding."""
    base: float = 500_000.0
    """Base of the rotary positions (rope_theta)."""
    scaling: RopeScaling | None = None
    epsilon: float = 1e-5
    """Norms add this to the mean square."""
    positions: int = 131_072
    """Length that it was trained for; it limits nothing here."""


# Dubey et al. (2024), arXiv:2407.21783, table 3, for 8B; meta-llama's config.json on the hub for all.
SHAPES: Mapping[LlamaSize, LlamaShape] = {
    "Llama-3.2-1B": LlamaShape(16, 2048, 32, 8, 8192, tied=True, scaling=RopeScaling(32.0, 1.0, 4.0, 8192)),
    "Llama-3.2-3B": LlamaShape(28, 3072, 24, 8, 8192, tied=True, scaling=RopeScaling(32.0, 1.0, 4.0, 8192)),
    "Llama-3.1-8B": LlamaShape(32, 4096, 32, 8, 14336, tied=False, scaling=RopeScaling(8.0, 1.0, 4.0, 8192)),
}
