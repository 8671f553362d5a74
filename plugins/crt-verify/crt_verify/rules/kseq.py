"""K-sequential selection: K independent drafts, each tested against the same scaled distribution.

With one scale rho in [1, K] for all K drafts,

    beta(rho) = sum over x of min(q(x), p(x) / rho)           the acceptance of one draft
    A         = 1 - (1 - beta)^K                              the acceptance of any of them
    residual  = p - min(q, p / rho) A / beta                  not normalised

The residual is not negative, so that the rule is exact, where rho beta >= A. The best rho is the root of rho beta = A.
Source: Sun et al. (2023), arXiv:2310.15141.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_verify.rules.plan import Plan, planned
from crt_verify.rules.tree_batch import TreeBatch, total

HALVINGS = 30
"""Of the bracket of rho; its upper end is exact however wide the bracket is."""


def plan(batch: TreeBatch) -> Plan:
    """Accepts with min(1, p / (rho q)); nodes on equal paths of ids are merged, and their children tried in order."""
    first = _first(batch)
    drafts = torch.zeros_like(first).scatter_add(1, first.gather(1, batch.parents), batch.there.long())  # b m
    rho, sums = _rho(batch, drafts)
    above = rho.gather(1, first.gather(1, batch.parents))
    place = first.gather(1, batch.parents) * batch.p.shape[-1] + batch.tokens
    p_token, q_token = (rows.flatten(1).gather(1, place) for rows in (batch.p, batch.q))
    depth = batch.lineage.sum(-1)
    turn = depth * len(batch.node) + batch.node
    return planned(batch, p_token, above * q_token, batch.p, scale=rho, share=sums / rho, turn=turn, first=first)


def _first(batch: TreeBatch) -> Int[Tensor, "b m"]:
    """The first node on the same path of ids as each node; one with children if there is one."""
    first = torch.zeros_like(batch.parents)
    for node in range(1, len(batch.node)):
        above = first.gather(1, batch.parents)
        same = (above == above[:, node, None]) & (batch.tokens == batch.tokens[:, node, None]) & batch.there
        same &= batch.node <= node
        first[:, node] = torch.where(same, batch.node, node).amin(-1)
    rank = batch.node + ~batch.inner * len(batch.node)  # only a node with children has the draft's row
    rank = torch.full_like(first, 2 * len(batch.node)).scatter_reduce(1, first, rank, "amin")
    return rank.gather(1, first) % len(batch.node)


def _rho(batch: TreeBatch, drafts: Int[Tensor, "b m"]) -> tuple[Float[Tensor, "b m"], Float[Tensor, "b m"]]:
    """Rho and A / beta of every node."""
    rho, sums = torch.ones_like(batch.p_token), (drafts > 0).double()  # of one draft: both 1
    each = drafts.flatten()
    nodes = torch.arange(len(each), device=each.device) if batch.runs_ahead else (each > 1).nonzero()[:, 0]
    p, q = batch.p.flatten(0, 1)[nodes], batch.q.flatten(0, 1)[nodes]
    rho.view(-1)[nodes], sums.view(-1)[nodes] = scale(p, q, each[nodes], len(batch.node) - 1)
    return rho, sums


def scale(
    p: Float[Tensor, "k v"], q: Float[Tensor, "k v"], drafts: Int[Tensor, " k"], most: int
) -> tuple[Float[Tensor, " k"], Float[Tensor, " k"]]:
    """Rho at its root or just above, and A / beta, of nodes with `drafts` drafts each, `most` at most.

    The rows of p may sum to less than 1.
    A / beta is the sum of (1 - beta)^i over i < K, so the root is where that sum is rho itself.
    """
    low, high = torch.ones_like(drafts, dtype=torch.float64), drafts.double().clamp(min=1)
    bits = most.bit_length()
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        over = _sums(p, q, middle, drafts, bits) > middle
        low, high = torch.where(over, middle, low), torch.where(over, high, middle)
    return high, _sums(p, q, high, drafts, bits)


def _sums(
    p: Float[Tensor, "k v"], q: Float[Tensor, "k v"], rho: Float[Tensor, " k"], drafts: Int[Tensor, " k"], bits: int
) -> Float[Tensor, " k"]:
    """The sum of (1 - beta)^i over i < K, by doubling: no difference of near numbers, and no logarithm."""
    beta = total(q.minimum(p * (1 / rho)[:, None]))
    power, miss, sums = torch.ones_like(beta), 1 - beta, torch.zeros_like(beta)
    for bit in reversed(range(bits)):
        sums, power = sums * (1 + power), power * power
        odd = (drafts >> bit & 1).bool()
        sums, power = torch.where(odd, sums * miss + 1, sums), torch.where(odd, power * miss, power)
    return sums
