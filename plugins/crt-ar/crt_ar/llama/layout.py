"""Names and layout of a Llama's weights in transformers, and the place of each in a stack here.

Axes: o rows, w columns of a weight.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from crt_ar.llama.shape import LlamaShape
from crt_nn.attention import Attention
from crt_nn.block import Stack

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
_BLOCK_NAMES = {
    "norms.0.gain": "input_layernorm.weight",
    "sublayers.0.outward.weight": "self_attn.o_proj.weight",
    "norms.1.gain": "post_attention_layernorm.weight",
    "sublayers.1.gate.weight": "mlp.gate_proj.weight",
    "sublayers.1.up.weight": "mlp.up_proj.weight",
    "sublayers.1.down.weight": "mlp.down_proj.weight",
}


class Place(NamedTuple):
    """The place of a published tensor."""

    name: str
    """Name of the parameter."""
    rows: slice = slice(None)
    """Rows of the parameter."""
    heads: int = 0
    """Heads with rotary positions, whose pairs of channels are neighbours here; 0: none."""


def places(stack: Stack) -> dict[str, Place]:
    """Maps published names to places in the `stack` of a prior, whose blocks are attention and a gated layer."""
    attention = next(layer for layer in stack.modules() if isinstance(layer, Attention))
    channels = attention.outward.in_features // attention.heads
    queries, keys = attention.heads * channels, attention.key_heads * channels
    result = {"model.norm.weight": Place("stack.norm.gain")}
    for index in range(len(stack.blocks)):
        here, there = f"stack.blocks.{index}.", f"model.layers.{index}."
        result |= {there + theirs: Place(here + ours) for ours, theirs in _BLOCK_NAMES.items()}
        joint = here + "sublayers.0.inward.weight"
        result |= {
            there + "self_attn.q_proj.weight": Place(joint, slice(0, queries), attention.heads),
            there + "self_attn.k_proj.weight": Place(joint, slice(queries, queries + keys), attention.key_heads),
            there + "self_attn.v_proj.weight": Place(joint, slice(queries + keys, queries + 2 * keys)),
        }
    return result


def shapes(shape: LlamaShape, vocabulary: int) -> Iterator[tuple[str, list[int]]]:
    """Yields the published names and shapes of all tensors of a Llama, in the order of layers."""
    width, keys = shape.width, shape.key_heads * (shape.width // shape.heads)
    yield EMBEDDING, [vocabulary, width]
    block = {
        "input_layernorm": [width],
        "self_attn.q_proj": [width, width],
        "self_attn.k_proj": [keys, width],
        "self_attn.v_proj": [keys, width],
        "self_attn.o_proj": [width, width],
        "post_attention_layernorm": [width],
        "mlp.gate_proj": [shape.hidden, width],
        "mlp.up_proj": [shape.hidden, width],
        "mlp.down_proj": [width, shape.hidden],
    }
    for index in range(shape.layers):
        yield from ((f"model.layers.{index}.{name}.weight", sizes) for name, sizes in block.items())
    yield "model.norm.weight", [width]
    if not shape.tied:
        yield HEAD, [vocabulary, width]


def published(weight: Tensor, place: Place) -> Tensor:
    """Returns the published tensor of a place in a parameter."""
    return halves(weight[place.rows], place.heads) if place.heads else weight[place.rows]


def put(weight: Tensor, place: Place, tensor: Tensor) -> None:
    """Writes a published tensor to its place in a parameter, in the parameter's precision."""
    with torch.no_grad():
        weight[place.rows] = (pairs(tensor, place.heads) if place.heads else tensor).to(weight)


def halves(weight: Float[Tensor, "o w"], heads: int) -> Float[Tensor, "o w"]:
    """Moves rows of a head's neighbouring channels half a head apart.

    Source: huggingface/transformers, models/llama/modeling_llama.py, `rotate_half`.
    """
    return weight.reshape(heads, -1, 2, weight.shape[-1]).transpose(1, 2).reshape_as(weight)


def pairs(weight: Float[Tensor, "o w"], heads: int) -> Float[Tensor, "o w"]:
    """Makes rows that are half a head apart neighbours: the inverse of `halves`."""
    return weight.reshape(heads, 2, -1, weight.shape[-1]).transpose(1, 2).reshape_as(weight)
