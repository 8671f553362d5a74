"""Autoregressive transformer: a class prefix, then ids.

Axes: b batch, n ids of a sample, t positions, w width, v vocabulary. Id -1 means absent.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from crt_nn.attention import Attention
from crt_nn.block import Stack
from crt_nn.context import AttentionContext
from crt_nn.prefixed import Prefixed
from crt_nn.swiglu import SwiGLU
from crtcore.noise import Noise

if TYPE_CHECKING:
    from crt_ar.specs import Transformer


class AutoregressiveTransformer(Prefixed):
    """Distribution of the next id given a class and the ids before."""

    def __init__(self, spec: Transformer, vocabulary: int, classes: int | None) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.classes = classes or 0
        self.embedding = nn.Embedding(vocabulary, spec.width)
        self.prefixes = nn.Embedding(self.classes + 1, spec.width)
        hidden = spec.hidden or 8 * -(-spec.width // 3)
        attention = partial(Attention, heads=spec.heads, backend=spec.attention)
        self.stack = Stack(spec.width, spec.layers, [attention, partial(SwiGLU, hidden=hidden)])
        self.head = nn.Linear(spec.width, vocabulary, bias=False)
        self.reset_parameters(spec.init_std, spec.embedding_std or None)

    def states(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """Returns the normalised last states of positions within a context."""
        states: Tensor = self.stack(features, context)
        return states

    def forward_states(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None, noise: Noise | None = None
    ) -> Float[Tensor, "b n+1 w"]:
        """Returns the normalised last states at the prefix and at each id."""
        features = self.begin(ids, class_ids)
        positions = torch.arange(features.shape[1], device=ids.device).expand(len(ids), -1)
        return self.states(features, AttentionContext(positions, noise=noise))


def transformer(spec: Transformer, vocabulary: int, length: int, classes: int | None) -> AutoregressiveTransformer:
    """Builds a network with new weights; positions are not limited, so `length` is not used."""
    return AutoregressiveTransformer(spec, vocabulary, classes)
