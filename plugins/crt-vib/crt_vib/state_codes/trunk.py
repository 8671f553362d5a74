"""States of a frozen transformer inside windows of ids, at ids and at tokens appended after them.

Axes: b windows, n ids of a window, m places of a window, t positions, w width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from crt_nn.block import Stack
from crt_nn.causal import Causal
from crt_nn.context import AttentionContext, KVCache
from crtcore.errors import RunError


def checked(prior: Any, layers: Sequence[int]) -> Causal:
    """The prior, if its layers can be read.

    Raises: RunError if it is no transformer of crt-nn, or has fewer layers.
    """
    stack = getattr(prior, "stack", None)
    if not isinstance(prior, Causal) or not isinstance(stack, Stack):
        raise RunError(
            f"state-codes: expected a transformer whose layers can be read, such as 'frozen-llama', got "
            f"{type(prior).__name__}"
        )
    if max(layers) > len(stack.blocks):
        raise RunError(
            f"experiment.layers: expected at most {len(stack.blocks)}, as many as the model has, got {max(layers)}"
        )
    return prior


def at_ids(
    prior: Causal, ids: Int[Tensor, "b n"]
) -> tuple[Float[Tensor, "b n+1 w"], Mapping[int, Float[Tensor, "b n+1 w"]]]:
    """The normalised last states at the first position and at each id, and the stream after each layer."""
    features, streams = prior.begin(ids, None), dict[int, Tensor]()
    positions = torch.arange(features.shape[1], device=ids.device).expand(len(ids), -1)
    shifted = nn.functional.pad(ids, (1, 0), value=-1)
    return prior.states(features, AttentionContext(positions, ids=shifted, streams=streams)), streams


def at_appended(
    prior: Causal, ids: Int[Tensor, "b n"], places: Int[Tensor, " m"], embedding: Float[Tensor, " w"]
) -> tuple[Float[Tensor, "b m w"], Mapping[int, Float[Tensor, "b m w"]]]:
    """As `at_ids`, at tokens of this embedding, one after the id at each place.

    They see nothing of each other, and only the embedding gets a gradient.

    Raises: RunError if the model reads more of a token than its embedding.
    Cost: a pass over the ids without a gradient, and one over the m tokens.
    """
    if hasattr(prior, "meta"):
        raise RunError("state-codes: expected a model without METAs for place 'appended', got one with; read its METAs")
    with torch.no_grad():
        features = prior.begin(ids, None)  # b n+1 w
        seen = features.shape[1]
        cache = KVCache(seen + len(places))
        before = torch.arange(seen, device=ids.device)
        prior.states(features, AttentionContext(before.expand(len(ids), -1), cache=cache))
    cache.offset = seen
    tokens = embedding.to(features.dtype).expand(len(ids), len(places), -1)
    own = torch.eye(len(places), dtype=torch.bool, device=ids.device)
    visible = torch.cat((before <= places[:, None] + 1, own), 1).expand(len(ids), -1, -1)  # b m n+1+m
    streams: dict[int, Tensor] = {}
    context = AttentionContext((places + 2).expand(len(ids), -1), visible, cache, streams=streams)
    return prior.states(tokens, context), streams
