"""How a node's children are sampled from its row, by one 32-bit uniform for each child.

Axes: *b rows, v vocabulary, k children. Where q has no id left, the child is -1, and so are all later ones.
Samples without replacement are drawn one after another. They have the distribution of Gumbel-top-k in descending order,
take one uniform a child, and never have an id of probability 0. The rest of the row is normalised before each draw, so
that the integer steps of `pick` stay fine however little is left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_run.sampling import pick

ChildSampler: TypeAlias = Callable[[Float[Tensor, "*b v"], Int[Tensor, "*b k"]], Int[Tensor, "*b k"]]


def independent(q: Float[Tensor, "*b v"], uniforms: Int[Tensor, "*b k"]) -> Int[Tensor, "*b k"]:
    """Samples with replacement."""
    ids = torch.stack([pick(q, uniforms[..., child]) for child in range(uniforms.shape[-1])], -1)
    return ids.clamp(0, q.shape[-1] - 1)  # if the row is no distribution, any id: the verifier reports the fault


def distinct(q: Float[Tensor, "*b v"], uniforms: Int[Tensor, "*b k"]) -> Int[Tensor, "*b k"]:
    """Samples without replacement, in draw order."""
    return ordered(q, uniforms).ids


def greedy_top(q: Float[Tensor, "*b v"], uniforms: Int[Tensor, "*b k"]) -> Int[Tensor, "*b k"]:
    """The k - 1 most likely ids, and one sampled from the others."""
    sure = uniforms.shape[-1] - 1
    ranked, order = q.sort(dim=-1, descending=True, stable=True)
    top = order[..., :sure]
    rest = q.scatter(-1, top, 0.0)
    last = ordered(rest, uniforms[..., -1:]).ids
    short = top.new_full((*top.shape[:-1], sure - top.shape[-1]), -1)  # the vocabulary has fewer ids
    return torch.cat([torch.where(ranked[..., :sure] > 0, top, -1), short, last], -1)


class OrderedSample(NamedTuple):
    """Ids sampled without replacement."""

    ids: Int[Tensor, "*b k"]
    left: Float[Tensor, "*b k"]
    """Share of the row that was left before each draw, in float64; 0 where nothing was."""


def ordered(q: Float[Tensor, "*b v"], uniforms: Int[Tensor, "*b k"]) -> OrderedSample:
    """Samples without replacement, with the share of the row that each was drawn from."""
    rest = q.double()
    whole = rest.sum(-1)
    ids, left = [], []
    for child in range(uniforms.shape[-1]):
        total = rest.sum(-1)
        x = pick(rest / torch.where(total > 0, total, 1)[..., None], uniforms[..., child])
        x = x.clamp(0, q.shape[-1] - 1)  # past the end where nothing is left
        ids.append(torch.where(total == 0, -1, x))  # if the row is no distribution, any id: the verifier reports it
        left.append(total / whole)
        rest = rest.scatter(-1, x[..., None], 0.0)
    return OrderedSample(torch.stack(ids, -1), torch.stack(left, -1))
