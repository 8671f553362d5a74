"""K independent drafts, each tried against one law scaled so that all K together take no more than the target has.

Source: Sun et al. (2023), arXiv:2310.15141.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_verify.rules.forest import Forest, total
from crt_verify.rules.plan import Plan, planned

HALVINGS = 40
"""Of the bracket of rho; its upper end is lossless however wide it is."""


def plan(forest: Forest) -> Plan:
    """Accepts with min(1, p / (rho q)); nodes with the same ids before and at them are one, tried in their order."""
    first = _first(forest)
    drafts = torch.zeros_like(first).scatter_add(1, first.gather(1, forest.parents), forest.there.long())  # b m
    rho, sums = _rho(forest, drafts)
    above = rho.gather(1, first.gather(1, forest.parents))
    place = first.gather(1, forest.parents) * forest.p.shape[-1] + forest.tokens
    wanted, drafted = (law.flatten(1).gather(1, place) for law in (forest.p, forest.q))
    depth = forest.lineage().sum(-1)
    turn = depth * len(forest.node) + forest.node
    return planned(forest, wanted, above * drafted, forest.p, scale=rho, share=sums / rho, turn=turn, first=first)


def _first(forest: Forest) -> Int[Tensor, "b m"]:
    """The first node with the same ids before and at it, of those with children if there are any."""
    first = torch.zeros_like(forest.parents)
    for node in range(1, len(forest.node)):
        above = first.gather(1, forest.parents)
        same = (above == above[:, node, None]) & (forest.tokens == forest.tokens[:, node, None]) & forest.there
        same &= forest.node <= node
        first[:, node] = torch.where(same, forest.node, node).amin(-1)
    rank = forest.node + ~forest.inner * len(forest.node)  # only a node with children has the draft's law
    rank = torch.full_like(first, 2 * len(forest.node)).scatter_reduce(1, first, rank, "amin")
    return rank.gather(1, first) % len(forest.node)


def _rho(forest: Forest, drafts: Int[Tensor, "b m"]) -> tuple[Float[Tensor, "b m"], Float[Tensor, "b m"]]:
    """Rho at its root or just above, and the acceptance in units of the overlap: the sum of (1 - beta)**i, i < K.

    The root is where that sum is rho itself: 1 - (1 - beta)**K = rho beta, divided by beta.
    """
    low, high = torch.ones_like(forest.wanted), drafts.double().clamp(min=1)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        over = _sums(forest, middle, drafts) > middle
        low, high = torch.where(over, middle, low), torch.where(over, high, middle)
    return high, _sums(forest, high, drafts)


def _sums(forest: Forest, rho: Float[Tensor, "b m"], drafts: Int[Tensor, "b m"]) -> Float[Tensor, "b m"]:
    """The sum of (1 - beta)**i over i < K, by doubling: no difference of near numbers, and no logarithm."""
    beta = total(forest.q.minimum(forest.p / rho[..., None]))
    power, miss, sums = torch.ones_like(beta), 1 - beta, torch.zeros_like(beta)
    for bit in reversed(range(len(forest.node).bit_length())):
        sums, power = sums * (1 + power), power * power
        odd = (drafts >> bit & 1).bool()
        sums, power = torch.where(odd, sums * miss + 1, sums), torch.where(odd, power * miss, power)
    return sums
