"""LlamaGen's transformer over a square grid: a class prefix, then the cells in raster order.

Axes: b batch, n ids of a sample, t positions, w width, v vocabulary, h heads, d head width. Id -1 means absent.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor, nn

from crt_nn.attention import Attention
from crt_nn.block import Stack
from crt_nn.context import AttentionContext
from crt_nn.dropout import Dropout, WithDropout
from crt_nn.prefixed import Prefixed
from crt_nn.rotary_grid import grid_rotations
from crt_nn.swiglu import SwiGLU
from crtcore.errors import RunError
from crtcore.noise import Noise

if TYPE_CHECKING:
    from crt_ar.specs import LlamaGen


class GridTransformer(Prefixed):
    """Distribution of the next cell given a class and the cells before; noise drops channels and classes."""

    def __init__(self, spec: LlamaGen, vocabulary: int, length: int, classes: int | None) -> None:
        super().__init__()
        side = math.isqrt(length)
        if not side or side**2 != length:
            raise RunError(
                f"llamagen: expected a square number of ids, one for each cell of a grid, got {length}; "
                "use `transformer` for other numbers"
            )
        layers, width, heads = spec.shape
        self.vocabulary = vocabulary
        self.longest = length
        self.classes = classes or 0
        self.label_dropout = spec.label_dropout
        self.embedding = nn.Embedding(vocabulary, width)
        self.prefixes = nn.Embedding(self.classes + 1, width)
        self.dropout = Dropout(spec.token_dropout)
        hidden = 256 * -(-(8 * width // 3) // 256)  # LlamaGen, autoregressive/models/gpt.py, `FeedForward`
        rope = partial(rotations_behind_prefix, columns=side)

        def attention(width: int) -> nn.Module:
            inner = Attention(width, heads=heads, backend=spec.attention, rope=rope)
            return WithDropout(inner, spec.residual_dropout)

        def feed_forward(width: int) -> nn.Module:
            return WithDropout(SwiGLU(width, hidden=hidden), spec.feed_forward_dropout)

        self.stack = Stack(width, layers, [attention, feed_forward], recompute=spec.recompute)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.reset_parameters()

    def states(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """Returns the normalised last states of positions within a context."""
        states: Tensor = self.stack(self.dropout(features, context), context)
        return states

    def forward_states(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None, noise: Noise | None = None
    ) -> Float[Tensor, "b n+1 w"]:
        """Returns the normalised last states at the prefix and at each id."""
        if noise is not None and class_ids is not None:
            class_ids = self._drop_labels(class_ids, noise.under("labels"))
        features = self.begin(ids, class_ids)
        positions = torch.arange(features.shape[1], device=ids.device).expand(len(ids), -1)
        return self.states(features, AttentionContext(positions, noise=noise))

    def _drop_labels(self, class_ids: Int[Tensor, " b"], noise: Noise) -> Int[Tensor, " b"]:
        """Returns class ids, with some replaced by -1."""
        return class_ids.where(noise.bits() >= int(self.label_dropout * 2**32), -1)


def rotations_behind_prefix(
    like: Float[Tensor, "b t h d"], positions: Int[Tensor, "b t"], *, columns: int
) -> Complex[Tensor, "b t 1 p"]:
    """Rotations by the cell of a grid. The prefix, position 0, is on no cell, so that its query and key are 0.

    Every cell attends to the prefix with logit 0: public weights were trained this way.
    Source: FoundationVision/LlamaGen, autoregressive/models/gpt.py, `cond_cache`.
    """
    return grid_rotations(like, positions - 1, columns=columns)
