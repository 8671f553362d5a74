"""Shapes of published transformers by name, free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

Size: TypeAlias = Literal[
    "52M", "74M", "111M", "192M", "343M", "517M", "775M", "1.4B", "3.1B", "B", "L", "XL", "XXL", "3B"
]  # fmt: skip
"""Number of parameters with 16,384 codes and 1,000 classes, or LlamaGen's letters."""


class Shape(NamedTuple):
    """Layers, width and heads of a transformer."""

    layers: int
    width: int
    heads: int


SHAPES: Mapping[Size, Shape] = {
    # Ramanujan et al. (2024), arXiv:2412.16326, have seven sizes from 52M to 775M and name 111M, 340M and 775M, which
    # are LlamaGen's B, L and XL; the shape of 52M, and the three sizes between those four, are our interpolation.
    "52M": Shape(6, 640, 10),
    "74M": Shape(8, 704, 11),
    "192M": Shape(16, 896, 14),
    "517M": Shape(30, 1152, 18),
    # FoundationVision/LlamaGen, autoregressive/models/gpt.py, `GPT_B` to `GPT_3B`.
    "111M": Shape(12, 768, 12),
    "B": Shape(12, 768, 12),
    "343M": Shape(24, 1024, 16),
    "L": Shape(24, 1024, 16),
    "775M": Shape(36, 1280, 20),
    "XL": Shape(36, 1280, 20),
    "1.4B": Shape(48, 1536, 24),
    "XXL": Shape(48, 1536, 24),
    "3.1B": Shape(24, 3200, 32),
    "3B": Shape(24, 3200, 32),
}
