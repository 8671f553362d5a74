"""Transformer with meta-tokens: a class prefix, then ids, of which the last of the vocabulary is META.

Axes: b batch, n ids of a sample, t positions, w width, v vocabulary. Id -1 means absent.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from crt_nn.attention import Attention
from crt_nn.block import Builder, Stack
from crt_nn.context import AttentionContext
from crt_nn.prefixed import Prefixed
from crt_nn.rotary_yarn import yarn_rotations
from crt_nn.swiglu import SwiGLU
from crt_vib.meta.attention import MetaAttention, meta_positions
from crt_vib.meta.relu import Rectified
from crt_vib.meta.shift import Shift
from crt_vib.meta.tied import Tied
from crtcore.errors import RunError
from crtcore.noise import Noise

if TYPE_CHECKING:
    from crt_vib.meta.spec import MetaTransformer


class MetaLanguageModel(Prefixed):
    """The distribution of the next id given a class and the ids before, METAs included."""

    def __init__(self, spec: MetaTransformer, vocabulary: int, classes: int | None) -> None:
        super().__init__()
        if vocabulary < 2:
            raise RunError(
                f"meta-transformer: expected a vocabulary of at least 2 ids, META the last, got {vocabulary}; "
                "the dataset with-metas adds META to the vocabulary of another"
            )
        self.vocabulary = vocabulary
        self.meta = vocabulary - 1
        self.classes = classes or 0
        self.positions_at_meta = spec.positions_at_meta
        with torch.random.fork_rng(devices=[]):  # first values must not depend on the numbers drawn in construction
            self.embedding = nn.Embedding(vocabulary, spec.width)
            self.prefixes = nn.Embedding(self.classes + 1, spec.width)
            self.stack = Stack(spec.width, spec.layers, self._sublayers(spec))
            self.head = self._head(spec)
            self.shift = Shift(spec.width) if spec.embedding == "shifted" else None
        self._first_values(spec)

    def states(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """The normalised last states in a context that has the ids."""
        if self.shift is not None:
            features = self.shift(features, context)
        if not self.positions_at_meta:
            context = context._replace(positions=context.positions.masked_fill(meta_positions(self.meta, context), 0))
        states: Tensor = self.stack(features, context)
        return states

    def forward_states(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None, noise: Noise | None = None
    ) -> Float[Tensor, "b n+1 w"]:
        """The normalised last states at the prefix and at each id."""
        features = self.begin(ids, class_ids)
        positions = torch.arange(features.shape[1], device=ids.device).expand(len(ids), -1)
        shifted = nn.functional.pad(ids, (1, 0), value=-1)
        return self.states(features, AttentionContext(positions, noise=noise, ids=shifted))

    def _head(self, spec: MetaTransformer) -> nn.Module:
        tied = spec.embedding == "tied"
        return Tied(self.embedding) if tied else nn.Linear(spec.width, self.vocabulary, bias=False)

    def _sublayers(self, spec: MetaTransformer) -> list[Builder]:
        rope = partial(yarn_rotations, yarn=spec.yarn)
        attention = partial(Attention, heads=spec.heads, backend=spec.attention, rope=rope)

        def among_metas(width: int) -> nn.Module:
            return MetaAttention(attention(width), self.meta)

        second: dict[str, list[Builder]] = {"meta": [among_metas], "all": [attention], "none": []}
        rectified = partial(Rectified, hidden=spec.hidden or 4 * spec.width)
        gated = partial(SwiGLU, hidden=spec.hidden or 8 * -(-spec.width // 3))
        return [attention, *second[spec.second], rectified if spec.feed_forward == "relu" else gated]

    def _first_values(self, spec: MetaTransformer) -> None:
        """Draws the weights of a model without second attention first, so that both models start with the same values.

        Embeddings and shifted ones have unit variance: with 0.02 recall is hardly learned. Tied ones of unit variance
        would predict each id again, so they start as in GPT-2.
        """
        for rows in (self.embedding, self.prefixes):
            nn.init.normal_(rows.weight, std=0.02 if spec.embedding == "tied" else 1.0)
        if self.shift is not None:
            nn.init.normal_(self.shift.map.weight, std=spec.width**-0.5)
        blocks = [list(block.get_submodule("sublayers").children()) for block in self.stack.blocks]
        shared = [layer for first, *_, last in blocks for layer in (first, last)]
        added = [layer for _, *between, _ in blocks for layer in between]
        for layer in (*shared, *added):
            for module in layer.modules():
                if isinstance(module, nn.Linear):
                    nn.init.normal_(module.weight, std=0.02)
        if spec.embedding != "tied":
            nn.init.zeros_(self.head.get_parameter("weight"))  # so that the loss starts at ln v


def meta_transformer(spec: MetaTransformer, vocabulary: int, length: int, classes: int | None) -> MetaLanguageModel:
    """A network with new weights; positions are unlimited, so the length is not used."""
    return MetaLanguageModel(spec, vocabulary, classes)
