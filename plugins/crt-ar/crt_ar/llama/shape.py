"""Shapes of Llamas and of related families, and published ones by name, free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

LlamaSize: TypeAlias = Literal["Llama-3.2-1B", "Llama-3.2-3B", "Llama-3.1-8B"]


Family: TypeAlias = Literal["llama", "mistral", "qwen2", "qwen3"]
"""`model_type` of transformers."""
Bias: TypeAlias = Literal["none", "inward", "both"]
"""No product of attention; those to queries, keys and values; these and the one back."""


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


class LinearScaling(NamedTuple):
    """All pairs of channels turn slower by one factor.

    Source: huggingface/transformers, modeling_rope_utils.py, `_compute_linear_scaling_rope_parameters`.
    """

    factor: float


class YarnScaling(NamedTuple):
    """Slow pairs of channels turn slower by a factor, and queries and keys are longer.

    Source: huggingface/transformers, modeling_rope_utils.py, `_compute_yarn_parameters`.
    """

    factor: float
    original: int
    """Length of the first training."""
    fast: float
    """Pairs with more turns than this over the original length keep their speed."""
    slow: float
    """Pairs with fewer turns than this are slowed down by the whole factor."""
    length: float
    """Factor of rotated queries and keys."""


Scaling: TypeAlias = RopeScaling | LinearScaling | YarnScaling


class LlamaShape(NamedTuple):
    """All that the logits of a Llama, or of a model of a related family, depend on beside its weights."""

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
    scaling: Scaling | None = None
    epsilon: float = 1e-5
    """Norms add this to the mean square."""
    positions: int = 131_072
    """Length that it was trained for; it limits nothing here."""
    family: Family = "llama"
    head: int = 0
    """Channels of a head; 0: heads fill the width."""
    bias: Bias = "none"
    """Which attention products add a bias."""
    feed_bias: bool = False
    """Whether the products of feed-forward layers add a bias."""
    head_norms: bool = False
    """Whether queries and keys are normalised in each head."""
    window: int | None = None
    """Positions that one attends to, itself and those before it; rows are no longer than this here."""

    @property
    def channels(self) -> int:
        """Channels of a head."""
        return self.head or self.width // self.heads


# Dubey et al. (2024), arXiv:2407.21783, table 3, for 8B; meta-llama's config.json on the hub for all.
SHAPES: Mapping[LlamaSize, LlamaShape] = {
    "Llama-3.2-1B": LlamaShape(16, 2048, 32, 8, 8192, tied=True, scaling=RopeScaling(32.0, 1.0, 4.0, 8192)),
    "Llama-3.2-3B": LlamaShape(28, 3072, 24, 8, 8192, tied=True, scaling=RopeScaling(32.0, 1.0, 4.0, 8192)),
    "Llama-3.1-8B": LlamaShape(32, 4096, 32, 8, 14336, tied=False, scaling=RopeScaling(8.0, 1.0, 4.0, 8192)),
}
