"""Names and layout of a Llama's weights in transformers, and the place of each in a stack here.

Axes: o rows of a weight, of a bias, or of a gain.
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
    "sublayers.0.outward.bias": "self_attn.o_proj.bias",
    "norms.1.gain": "post_attention_layernorm.weight",
    "sublayers.1.gate.weight": "mlp.gate_proj.weight",
    "sublayers.1.gate.bias": "mlp.gate_proj.bias",
    "sublayers.1.up.weight": "mlp.up_proj.weight",
    "sublayers.1.up.bias": "mlp.up_proj.bias",
    "sublayers.1.down.weight": "mlp.down_proj.weight",
    "sublayers.1.down.bias": "mlp.down_proj.bias",
}
"""Parameters of a block here, of which some have no bias, and what transformers calls them."""


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
    queries, keys = attention.heads * attention.channels, attention.key_heads * attention.channels
    there_are = {name for name, _ in stack.named_parameters()}
    result = {"model.norm.weight": Place("stack.norm.gain")}
    for index in range(len(stack.blocks)):
        here, there = f"blocks.{index}.", f"model.layers.{index}."
        parts = {theirs: Place(here + ours) for ours, theirs in _BLOCK_NAMES.items()}
        for kind in ("weight", "bias"):
            joint = f"{here}sublayers.0.inward.{kind}"
            parts |= {
                f"self_attn.q_proj.{kind}": Place(joint, slice(0, queries), attention.heads),
                f"self_attn.k_proj.{kind}": Place(joint, slice(queries, queries + keys), attention.key_heads),
                f"self_attn.v_proj.{kind}": Place(joint, slice(queries + keys, queries + 2 * keys)),
            }
        parts |= {
            f"self_attn.{letter}_norm.weight": Place(f"{here}sublayers.0.{name}_norm.gain", heads=1)
            for letter, name in (("q", "query"), ("k", "key"))
        }
        result |= {
            there + theirs: place._replace(name="stack." + place.name)
            for theirs, place in parts.items()
            if place.name in there_are
        }
    return result


def shapes(shape: LlamaShape, vocabulary: int) -> Iterator[tuple[str, list[int]]]:
    """Yields the published names and shapes of all tensors of a Llama, in the order of layers."""
    width, hidden = shape.width, shape.hidden
    queries, keys = shape.heads * shape.channels, shape.key_heads * shape.channels
    yield EMBEDDING, [vocabulary, width]
    inward, outward = shape.bias != "none", shape.bias == "both"
    products = (
        ("self_attn.q_proj", queries, width, inward),
        ("self_attn.k_proj", keys, width, inward),
        ("self_attn.v_proj", keys, width, inward),
        ("self_attn.o_proj", width, queries, outward),
        ("mlp.gate_proj", hidden, width, shape.feed_bias),
        ("mlp.up_proj", hidden, width, shape.feed_bias),
        ("mlp.down_proj", width, hidden, shape.feed_bias),
    )
    block = {"input_layernorm.weight": [width]}
    if shape.head_norms:
        block |= {"self_attn.q_norm.weight": [shape.channels], "self_attn.k_norm.weight": [shape.channels]}
    for name, rows, columns, biased in products:
        block |= {f"{name}.weight": [rows, columns]} | ({f"{name}.bias": [rows]} if biased else {})
    block |= {"post_attention_layernorm.weight": [width]}
    for index in range(shape.layers):
        yield from ((f"model.layers.{index}.{name}", sizes) for name, sizes in block.items())
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


def halves(weight: Float[Tensor, "o ..."], heads: int) -> Float[Tensor, "o ..."]:
    """Moves rows of a head's neighbouring channels half a head apart.

    Source: huggingface/transformers, models/llama/modeling_llama.py, `rotate_half`.
    """
    return weight.reshape(heads, -1, 2, *weight.shape[1:]).transpose(1, 2).reshape_as(weight)


def pairs(weight: Float[Tensor, "o ..."], heads: int) -> Float[Tensor, "o ..."]:
    """Makes rows that are half a head apart neighbours: the inverse of `halves`."""
    return weight.reshape(heads, 2, -1, *weight.shape[1:]).transpose(1, 2).reshape_as(weight)
