"""What makes one Llama another, and the published ones by name, free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

LlamaSize: TypeAlias = Literal["Llama-3.2-1B", "Llama-3.2-3B", "Llama-3.1-8B"]


class Stretch(NamedTuple):
    """How rotary positions were stretched beyond the length that they were first trained at.

    Source: huggingface/transformers, modeling_rope_utils.py, `_compute_llama3_parameters`.
    """

    factor: float
    """How many times slower the slow pairs of channels turn."""
    low: float
    """Pairs with fewer whole turns than this in the first length are slow."""
    high: float
    """Pairs with more whole turns than this keep their speed."""
    original: int
    """The first length."""


class LlamaShape(NamedTuple):
    """All that the numbers of a Llama hang on beside its weights."""

    layers: int
    width: int
    heads: int
    key_heads: int
    """Heads of keys and values; each serves heads / key_heads heads of queries."""
    hidden: int
    """Channels inside a feed-forward layer."""
    tied: bool
    """Whether the output layer is the embedding."""
    base: float = 500_000.0
    """Of the rotary positions (rope_theta)."""
    stretch: Stretch | None = None
    epsilon: float = 1e-5
    """What norms add to the mean square."""
    positions: int = 131_072
    """What it was trained for; nothing here is limited by it."""


# Dubey et al. (2024), arXiv:2407.21783, table 3, for 8B; meta-llama's config.json on the hub for all.
SHAPES: Mapping[LlamaSize, LlamaShape] = {
    "Llama-3.2-1B": LlamaShape(16, 2048, 32, 8, 8192, tied=True, stretch=Stretch(32.0, 1.0, 4.0, 8192)),
    "Llama-3.2-3B": LlamaShape(28, 3072, 24, 8, 8192, tied=True, stretch=Stretch(32.0, 1.0, 4.0, 8192)),
    "Llama-3.1-8B": LlamaShape(32, 4096, 32, 8, 14336, tied=False, stretch=Stretch(8.0, 1.0, 4.0, 8192)),
}
