"""The peer of `sampling.py`: LlamaGen's way to sample images by class, in plain torch, with the weights of ours.

It does what the public code does at each id: all rows twice, with and without their class; keys and values in slots for
whole images, of which later ones are masked; logits in float32, mixed, cut to the likeliest ids, and drawn from.
Source: FoundationVision/LlamaGen, autoregressive/models/generate.py and gpt.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from crt_ar.grid import GridTransformer
from crt_nn.attention import Attention
from crt_nn.rotary_grid import grid_rotations
from crt_nn.swiglu import SwiGLU


class Slots:
    """Keys and values of a layer, `rows heads slots channels`."""

    def __init__(self, rows: int, heads: int, slots: int, channels: int, dtype: torch.dtype) -> None:
        self.keys, self.values = torch.zeros(2, rows, heads, slots, channels, dtype=dtype).unbind()


class LlamaGenLoop:
    """Samples ids by classes, one id for each call of the network."""

    def __init__(self, prior: GridTransformer, length: int, *, scale: float, top_k: int) -> None:
        self.prior, self.length, self.scale, self.top_k = prior, length, scale, top_k
        self.layers = [_layer(block) for block in prior.stack.blocks]
        inner = self.layers[0][1]
        self.heads, self.channels = inner.heads, inner.channels
        self.dtype = prior.embedding.weight.dtype
        like, cells = prior.embedding.weight.new_empty(1, 1, 1, self.channels), torch.arange(length + 1)[None] - 1
        turns = grid_rotations(like, cells, columns=int(length**0.5))[0, :, 0]
        self.turns = torch.view_as_real(turns)  # positions pairs 2

    @torch.no_grad()
    def generate(self, classes: Tensor, *, sample: bool = True) -> Tensor:
        """The ids of an image of each class; without `sample` the likeliest."""
        rows, slots = 2 * len(classes), 8 * -(-(self.length + 1) // 8)
        caches = [Slots(rows, self.heads, slots, self.channels, self.dtype) for _ in self.layers]
        mask = torch.tril(torch.ones(slots, slots, dtype=torch.bool)).repeat(rows, 1, 1)
        both = torch.cat((classes, torch.full_like(classes, self.prior.classes)))
        features = self.prior.prefixes(both)[:, None]
        made, drawn = [], []
        with sdpa_kernel(SDPBackend.MATH):
            for place in range(self.length):
                logits = self._logits(features, torch.tensor([place]), mask, caches)
                ids, chances = self._drawn(logits, sample)
                made.append(ids.clone())
                drawn.append(chances.clone())  # the public loop keeps the distributions, too
                features = self.prior.embedding(torch.cat((ids, ids)))
        return torch.cat(made, 1)

    def _logits(self, stream: Tensor, place: Tensor, mask: Tensor, caches: list[Slots]) -> Tensor:
        visible, turns = mask[:, None, place], self.turns[place]
        for (first, attention, second, feed), cache in zip(self.layers, caches, strict=True):
            stream = stream + self._attended(attention, first(stream), turns, (place, visible, cache))
            normed = second(stream)
            stream = stream + feed.down(functional.silu(feed.gate(normed)) * feed.up(normed))
        return self.prior.head(self.prior.stack.norm(stream)).float()  # type: ignore[no-any-return]

    def _attended(
        self, attention: Attention, features: Tensor, turns: Tensor, held: tuple[Tensor, Tensor, Slots]
    ) -> Tensor:
        place, visible, cache = held
        rows, new, width = features.shape
        parts = attention.inward(features).split(width, -1)
        query, key, value = (part.view(rows, new, self.heads, self.channels) for part in parts)
        query, key = _turned(query, turns), _turned(key, turns)
        cache.keys[:, :, place] = key.transpose(1, 2)
        cache.values[:, :, place] = value.transpose(1, 2)
        mixed = functional.scaled_dot_product_attention(
            query.transpose(1, 2), cache.keys, cache.values, attn_mask=visible
        )
        return attention.outward(mixed.transpose(1, 2).reshape(rows, new, width))  # type: ignore[no-any-return]

    def _drawn(self, logits: Tensor, sample: bool) -> tuple[Tensor, Tensor]:
        conditional, unconditional = logits[:, -1].chunk(2)
        logits = unconditional + (conditional - unconditional) * self.scale
        least = logits.topk(self.top_k).values[:, -1:]
        logits[logits < least] = -torch.inf
        chances = logits.softmax(-1)
        return (torch.multinomial(chances, 1) if sample else chances.argmax(-1, keepdim=True)), chances


def _layer(block: nn.Module) -> tuple[nn.Module, Attention, nn.Module, SwiGLU]:
    """The parts of a block, without their dropout."""
    first, second = block.norms  # type: ignore[misc]
    attention, feed = (each.sublayer for each in block.sublayers)  # type: ignore[union-attr]
    return first, attention, second, feed


def _turned(features: Tensor, turns: Tensor) -> Tensor:
    """Neighbouring channels turned as complex numbers, in float32."""
    pairs = features.float().unflatten(-1, (-1, 2))
    cosine, sine = turns[:, None].unbind(-1)
    real, imaginary = pairs.unbind(-1)
    both = torch.stack((real * cosine - imaginary * sine, imaginary * cosine + real * sine), -1)
    return both.flatten(-2).to(features.dtype)
