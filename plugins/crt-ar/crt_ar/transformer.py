"""Autoregressive transformer: a class prefix, then ids.

Axes: b batch, n ids of a sample, t positions, w width, v vocabulary. Id -1 means absent.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from crtcore.nn.attention import Attention
from crtcore.nn.block import Stack
from crtcore.nn.scope import Scope
from crtcore.nn.session import CachedSession
from crtcore.nn.swiglu import SwiGLU

if TYPE_CHECKING:
    from crt_ar.specs import Transformer


class AutoregressiveTransformer(nn.Module):
    """The law of the next id given a class and the ids before."""

    def __init__(self, spec: Transformer, vocabulary: int, condition: int | None) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.classes = condition or 0
        self.embedding = nn.Embedding(vocabulary, spec.width)
        self.prefixes = nn.Embedding(self.classes + 1, spec.width)  # the last one is unconditional
        hidden = spec.hidden or 8 * -(-spec.width // 3)
        attention = partial(Attention, heads=spec.heads, wanted=spec.attention)
        self.stack = Stack(spec.width, spec.layers, [attention, partial(SwiGLU, hidden=hidden)])
        self.head = nn.Linear(spec.width, vocabulary, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Embedding | nn.Linear):
                nn.init.normal_(module.weight, std=0.02)  # LlamaGen, autoregressive/models/gpt.py
        nn.init.zeros_(self.head.weight)  # so that it starts at ln v; ibid.

    def forward(self, ids: Int[Tensor, "b n"], condition: Int[Tensor, " b"] | None = None) -> Float[Tensor, "b n+1 v"]:
        """Logits after the prefix and after each id.

        Raises: ValueError if there is a condition and the prior was built without classes.
        """
        return self.logits(self._passed(ids, condition))

    def hidden(self, ids: Int[Tensor, "b n"], condition: Int[Tensor, " b"] | None = None) -> Float[Tensor, "b n w"]:
        """The normalised last state at each id."""
        return self._passed(ids, condition)[:, 1:]

    def open(
        self, ids: Int[Tensor, "b n"], condition: Int[Tensor, " b"] | None = None, *, capacity: int, room: int
    ) -> CachedSession:
        """A session with cached keys and values."""
        return CachedSession(self, ids, condition, capacity=capacity, room=room)

    def begin(self, ids: Int[Tensor, "b n"], condition: Int[Tensor, " b"] | None) -> Float[Tensor, "b n+1 w"]:
        """Features of the prefix and the ids."""
        if condition is None:
            condition = ids.new_full((len(ids),), -1)
        elif not self.classes:
            raise ValueError("expected no condition, as this prior was built without classes, got one")
        prefix: Tensor = self.prefixes(condition.where(condition >= 0, self.classes))
        return torch.cat((prefix[:, None], self.embed(ids)), 1)

    def embed(self, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b t w"]:
        """Features of ids; an absent one passes for id 0, as none that is there looks at it."""
        features: Tensor = self.embedding(ids.clamp(min=0))
        return features

    def states(self, features: Float[Tensor, "b t w"], scope: Scope) -> Float[Tensor, "b t w"]:
        """The normalised last states within a scope."""
        states: Tensor = self.stack(features, scope)
        return states

    def logits(self, states: Float[Tensor, "b t w"]) -> Float[Tensor, "b t v"]:
        """Logits after each position."""
        logits: Tensor = self.head(states)
        return logits

    def _passed(self, ids: Int[Tensor, "b n"], condition: Int[Tensor, " b"] | None) -> Float[Tensor, "b n+1 w"]:
        features = self.begin(ids, condition)
        positions = torch.arange(features.shape[1], device=ids.device).expand(len(ids), -1)
        return self.states(features, Scope(positions))
