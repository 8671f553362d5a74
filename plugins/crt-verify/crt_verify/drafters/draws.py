"""How a node's children are drawn from its row, by 32-bit coins, one for each child.

Axes: *b rows, v vocabulary, k children. A child for which q has no id left is -1, and so are all behind it.
Draws without replacement follow one another instead of racing: the law is that of Gumbel-top-k in descending order, a
coin a child is enough, and an id of probability 0 cannot come out. Before each draw the rest of the row is normalised,
so that the integer steps of `pick` stay fine however little is left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crtcore import pick

Draw: TypeAlias = Callable[[Float[Tensor, "*b v"], Int[Tensor, "*b k"]], Int[Tensor, "*b k"]]


def independent(q: Float[Tensor, "*b v"], coins: Int[Tensor, "*b k"]) -> Int[Tensor, "*b k"]:
    """Draws with replacement."""
    drawn = torch.stack([pick(q, coins[..., child]) for child in range(coins.shape[-1])], -1)
    return drawn.clamp(0, q.shape[-1] - 1)  # of a row that is no law, some id: the verifier names the fault


def distinct(q: Float[Tensor, "*b v"], coins: Int[Tensor, "*b k"]) -> Int[Tensor, "*b k"]:
    """Draws without replacement, in draw order."""
    return in_order(q, coins).ids


def off_top(q: Float[Tensor, "*b v"], coins: Int[Tensor, "*b k"]) -> Int[Tensor, "*b k"]:
    """The k - 1 most likely ids, and one drawn off them."""
    sure = coins.shape[-1] - 1
    ranked, order = q.sort(dim=-1, descending=True, stable=True)
    top = order[..., :sure]
    rest = q.scatter(-1, top, 0.0)
    last = in_order(rest, coins[..., -1:]).ids
    short = top.new_full((*top.shape[:-1], sure - top.shape[-1]), -1)  # fewer ids in all
    return torch.cat([torch.where(ranked[..., :sure] > 0, top, -1), short, last], -1)


class Generation(NamedTuple):
    """Draws without replacement."""

    ids: Int[Tensor, "*b k"]
    left: Float[Tensor, "*b k"]
    """Share of the row that was left to draw from, in float64; 0 where nothing was."""


def in_order(q: Float[Tensor, "*b v"], coins: Int[Tensor, "*b k"]) -> Generation:
    """Draws without replacement, and what each was drawn from."""
    rest = q.double()
    whole = rest.sum(-1)
    ids, left = [], []
    for child in range(coins.shape[-1]):
        total = rest.sum(-1)
        drawn = pick(rest / torch.where(total > 0, total, 1)[..., None], coins[..., child])
        drawn = drawn.clamp(0, q.shape[-1] - 1)  # past the end where nothing is left
        ids.append(torch.where(total == 0, -1, drawn))  # of a row that is no law, some id: the verifier names the fault
        left.append(total / whole)
        rest = rest.scatter(-1, drawn[..., None], 0.0)
    return Generation(torch.stack(ids, -1), torch.stack(left, -1))
