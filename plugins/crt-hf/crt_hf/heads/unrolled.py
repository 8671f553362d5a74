"""A head along whole rows, for each number of ids that are drafted in a row: in training, and where it is scored.

Axes: b rows, n ids of a row that are read, u the target's states behind one another, w width, h heads, d channels of a
head, e = h d, twice = 2w.
Source: Li et al. (2025), arXiv:2503.01840, section 3.2, for drafting steps in training.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from crt_hf.heads.network import Head
from crt_nn.context import AttentionContext


def unrolled(
    head: Head, ids: Int[Tensor, "b n"], states: Float[Tensor, "b n u"], depth: int
) -> list[Float[Tensor, "b n w"]]:
    """Returns the head's states after each id, if that id and those before it are drafted: 1 of them, 2, and so on.

    `states` are the target's at the ids before. After the drafted ones of a place, the head reads its own; keys and
    values of earlier places are those with the target's states.
    """
    features, before = head.embedding(ids), head.fused(states)
    places = torch.arange(1, ids.shape[1] + 1, device=ids.device).expand(len(ids), -1)
    held: list[tuple[Tensor, Tensor]] = []
    result = []
    for _ in range(depth):
        normed = head.state_norm(before)
        stream = normed if head.config.norm_before_residual else before
        mixed = _mixed(head, torch.cat((head.id_norm(features), normed), -1), places, held)
        stream = stream + head.attention.outward(mixed)
        result.append(stream + head.feed(head.feed_norm(stream), AttentionContext(places)))
        before = functional.pad(result[-1][:, :-1], (0, 0, 1, 0))
    return result


def _mixed(
    head: Head, features: Float[Tensor, "b n twice"], places: Int[Tensor, "b n"], held: list[tuple[Tensor, Tensor]]
) -> Float[Tensor, "b n e"]:
    """The mixed values of one more drafted id; `held` has keys and values of those before it, and gets its own."""
    layer, count = head.attention, features.shape[1]
    joint = layer.inward(features).unflatten(-1, (-1, layer.channels))
    query, key, value = layer.parts(joint, AttentionContext(places))
    each = layer.heads // layer.key_heads
    held.append((key.repeat_interleave(each, 2), value.repeat_interleave(each, 2)))
    drafted, scale = len(held) - 1, layer.channels**-0.5
    earlier = torch.ones(count, count, dtype=torch.bool, device=features.device).tril(-drafted)
    scores = torch.einsum("bthd,bshd->bhts", query, held[0][0]).masked_fill(~earlier, torch.finfo(query.dtype).min)
    own = [
        (query * keys.roll(drafted - at, 1)).sum(-1).transpose(1, 2)[..., None] for at, (keys, _) in enumerate(held)
    ][1:]
    weights = (scale * torch.cat((scores, *own), -1)).softmax(-1)
    mixed = torch.einsum("bhts,bshd->bthd", weights[..., :count], held[0][1])
    for at in range(1, drafted + 1):
        weight = weights[..., count + at - 1].transpose(1, 2)[..., None]
        mixed = mixed + weight * held[at][1].roll(drafted - at, 1)
    return mixed.flatten(2)
