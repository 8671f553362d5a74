"""K independent drafts, each tried against one law scaled so that all K together take no more than the target has.

Source: Sun et al. (2023), arXiv:2310.15141.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_verify.rules.forest import Forest, total
from crt_verify.rules.plan import Plan, planned

HALVINGS = 30
"""Of the bracket of rho; its upper end is lossless however wide it is."""


def plan(forest: Forest) -> Plan:
    """Accepts with min(1, p / (rho q)); nodes with the same ids before and at them are one, tried in their order."""
    first = _first(forest)
    drafts = torch.zeros_like(first).scatter_add(1, first.gather(1, forest.parents), forest.there.long())  # b m
    rho, sums = _rho(forest, drafts)
    above = rho.gather(1, first.gather(1, forest.parents))
    place = first.gather(1, forest.parents) * forest.p.shape[-1] + forest.tokens
    wanted, drafted = (law.flatten(1).gather(1, place) for law in (forest.p, forest.q))
    depth = forest.lineage.sum(-1)
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
    rho, sums = torch.ones_like(forest.wanted), (drafts > 0).double()  # of one draft: both 1
    each = drafts.flatten()
    nodes = torch.arange(len(each), device=each.device) if forest.runs_ahead else (each > 1).nonzero()[:, 0]
    p, q, each = forest.p.flatten(0, 1)[nodes], forest.q.flatten(0, 1)[nodes], each[nodes]
    low, high = torch.ones_like(each, dtype=torch.float64), each.double().clamp(min=1)
    bits = (len(forest.node) - 1).bit_length()
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        over = _sums(p, q, middle, each, bits) > middle
        low, high = torch.where(over, middle, low), torch.where(over, high, middle)
    rho.view(-1)[nodes], sums.view(-1)[nodes] = high, _sums(p, q, high, each, bits)
    return rho, sums


def _sums(
    p: Float[Tensor, "k v"], q: Float[Tensor, "k v"], rho: Float[Tensor, " k"], drafts: Int[Tensor, " k"], bits: int
) -> Float[Tensor, " k"]:
    """The sum of (1 - beta)**i over i < K, by doubling: no difference of near numbers, and no logarithm."""
    beta = total(q.minimum(p * (1 / rho)[:, None]))
    power, miss, sums = torch.ones_like(beta), 1 - beta, torch.zeros_like(beta)
    for bit in reversed(range(bits)):
        sums, power = sums * (1 + power), power * power
        odd = (drafts >> bit & 1).bool()
        sums, power = torch.where(odd, sums * miss + 1, sums), torch.where(odd, power * miss, power)
    return sums
