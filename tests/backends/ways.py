"""Ways to compute attention of tree nodes behind cached positions, and steps to compare them on.

Axes: b batch, t nodes (the root counted), c cached positions, s = c + t keys, h heads, g heads of keys, d head width.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from crt_nn.backends import XFORMERS, _xformers, bias, repeat_heads, sdpa
from crt_nn.slots import Ancestry

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
ROWS, NODES, CACHED = 200, 7, 9
WIDTH = 16
"""Channels of a head."""


class Step(NamedTuple):
    """The inputs of an attention layer, and which keys each node reads."""

    query: Tensor
    """`b t h d`"""
    key: Tensor
    """`b s g d`"""
    value: Tensor
    """`b s g d`"""
    parents: Tensor
    """`b t`: the node above each, -1 for the root."""
    visible: Tensor
    """`b t s`"""


Way: TypeAlias = Callable[[Step], Tensor]
"""A step to the mixed values, `b t h d`."""


def random_step(seed: int) -> Step:
    """A step with a random tree in each row; every node reads the cache, its ancestors and itself.

    All have the same shape, so that what compiles does so once.
    """
    generator = torch.Generator().manual_seed(seed)
    query, key, value = (
        torch.randn(ROWS, count, heads, WIDTH, generator=generator)
        for count, heads in ((NODES, 4), (CACHED + NODES, 2), (CACHED + NODES, 2))
    )
    above = (torch.rand(ROWS, NODES, generator=generator) * torch.arange(NODES)).long()
    parents = above.where(torch.arange(NODES) > 0, -1)
    visible = torch.nn.functional.pad(Ancestry(parents).extend(parents, parents >= -1), (CACHED, 0), value=True)
    return Step(*(field.to(DEVICE) for field in (query, key, value, parents, visible)))


def by_sdpa(step: Step) -> Tensor:
    """Torch's `scaled_dot_product_attention`, as crt-nn calls it."""
    return sdpa(step.query, step.key, step.value, step.visible)


FEW = {"cpp_cache_precompile_headers": False} if DEVICE.type == "cpu" else {}
"""For one kernel, compiling the headers beforehand takes longer than it saves."""
_compiled: Any = torch.compile(flex_attention, fullgraph=True, dynamic=False, options=FEW)


def by_flex(step: Step) -> Tensor:
    """FlexAttention, compiled, with a mask that reads the marks of the step."""
    visible = step.visible

    def sees(row: Tensor, _: Tensor, node: Tensor, place: Tensor) -> Tensor:
        return visible[row, node, place]

    blocks = create_block_mask(sees, len(visible), None, *visible.shape[1:], device=visible.device.type)
    query, key, value = (field.transpose(1, 2) for field in step[:3])
    mixed: Tensor = _compiled(query, key, value, block_mask=blocks, enable_gqa=key.shape[1] != query.shape[1])
    return mixed.transpose(1, 2)


def by_xformers(step: Step) -> Tensor:
    """The kernels of xformers on a GPU; on a CPU, which they do not run on, torch with the mask that they would get."""
    importlib.import_module(XFORMERS)
    query, key, value, _, visible = step
    if DEVICE.type == "cuda":
        return _xformers(query, key, value, visible)
    heads = (query, repeat_heads(key, query.shape[2]), repeat_heads(value, query.shape[2]))
    mask = bias(visible, query.shape[2], query.dtype)
    mixed = torch.nn.functional.scaled_dot_product_attention(*(x.transpose(1, 2) for x in heads), attn_mask=mask)
    return mixed.transpose(1, 2)


WAYS: Mapping[str, Way] = {"sdpa": by_sdpa, "xformers": by_xformers, "flex": by_flex}


def plain(step: Step) -> Tensor:
    """A softmax over what is visible, written out, in float64."""
    heads = step.query.shape[2]
    query, key, value = step.query, repeat_heads(step.key, heads), repeat_heads(step.value, heads)
    scores = torch.einsum("bthd,bshd->bhts", query.double(), key.double()) / WIDTH**0.5
    weights = scores.masked_fill(~step.visible[:, None], -torch.inf).softmax(-1)
    return torch.einsum("bhts,bshd->bthd", weights, value.double())
