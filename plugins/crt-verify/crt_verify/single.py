"""Verification of one chain, id by id: the outcome for given coins, and the law of the outcome.

Axes: b batch, L drafted ids, v vocabulary. Row i of p (target) and q (draft) is the law of drafted id i, given those
before it; row L of p is the law of the id after them all. The chain of a row ends at its first absent id.
Source: Leviathan et al. (2023), arXiv:2211.17192, algorithm 1.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_verify.verdict import FAULTS, Verdict, unsound
from crtcore import pick

COIN = 2**24
"""Accept coins run from 0 up to this: their product with a float32 probability is exact in float64."""
_POINT = 2.0**60  # the resolution of `pick`


def leftover(p: Float[Tensor, "*b v"], q: Float[Tensor, "*b v"]) -> Float[Tensor, "*b v"]:
    """What remains to be drawn after a rejection: the positive part of p - q, or p if nothing does.

    Nothing remains only if p and q are equal up to rounding. Not normalised.
    """
    rest = (p.double() - q.double()).clamp(min=0)
    some = (rest * _POINT >= 1).any(-1, keepdim=True)
    return torch.where(some, rest, p.double())


def verify(
    ids: Int[Tensor, "b L"],
    p: Float[Tensor, "b L+1 v"],
    q: Float[Tensor, "b L v"],
    accept_coins: Int[Tensor, "b L"],
    final_coins: Int[Tensor, " b"],
) -> Verdict:
    """Accepts the longest start of the chain that its coins allow, and draws the id after it.

    Never raises on values: `check` does. Accept coins are below 2**24, final coins below 2**32.
    """
    there = (ids >= 0).long().cumprod(-1)  # b L
    fault = _fault(ids, p, q, there)
    accepted = there.bool() & (accept_coins * _at(q, ids) < _at(p[:, :-1], ids) * COIN)
    length = torch.where(fault == 0, accepted.long().cumprod(-1).sum(-1), 0)  # b
    rows = torch.arange(len(ids), device=ids.device)
    law = p[rows, length].double()  # b v
    if ids.shape[1]:
        rejected = length < there.sum(-1)
        drafted = q[rows, length.clamp(max=ids.shape[1] - 1)]
        law = torch.where(rejected[:, None], leftover(law, drafted), law)
    final = torch.where(fault == 0, pick(law, final_coins), -1)
    nodes = torch.arange(1, ids.shape[1] + 1, device=ids.device)
    return Verdict(torch.where(nodes <= length[:, None], nodes, -1), length, final, fault)


def law(ids: Int[Tensor, " L"], p: Float[Tensor, "L+1 v"], q: Float[Tensor, "L v"]) -> dict[tuple[int, ...], float]:
    """The law of what `verify` emits for one chain, in float64: both branches of every coin."""
    emitted: dict[tuple[int, ...], float] = {}
    chain = tuple(ids[: int((ids >= 0).long().cumprod(-1).sum())].tolist())
    reached = 1.0

    def end(length: int, weights: Float[Tensor, " v"], mass: float) -> None:
        chances = (mass * weights / weights.sum()).tolist()
        emitted.update({(*chain[:length], x): chance for x, chance in enumerate(chances) if chance > 0})

    for node, x in enumerate(chain):
        accept = min(1.0, float(p[node, x]) / float(q[node, x]))
        end(node, leftover(p[node], q[node]), reached * (1 - accept))
        reached *= accept
    end(len(chain), p[len(chain)].double(), reached)
    return emitted


def _at(laws: Float[Tensor, "b L v"], ids: Int[Tensor, "b L"]) -> Float[Tensor, "b L"]:
    """The probability of each drafted id, in float64; of an id out of range, that of the nearest one."""
    return laws.gather(-1, ids.clamp(0, laws.shape[-1] - 1)[..., None])[..., 0].double()


def _fault(
    ids: Int[Tensor, "b L"], p: Float[Tensor, "b L+1 v"], q: Float[Tensor, "b L v"], there: Int[Tensor, "b L"]
) -> Int[Tensor, " b"]:
    """The first fault of each row, coded as `Verdict.fault` says."""
    impossible = (ids >= q.shape[-1]) | ~(_at(q, ids) > 0)
    draft = torch.where(unsound(q) > 0, unsound(q) + 2, impossible.long() * 5) * there  # b L
    target = unsound(p)
    target[:, 1:] *= there  # the root's row is always used
    reason = torch.where(target > 0, target, torch.nn.functional.pad(draft, (0, 1)))  # b L+1
    node = torch.arange(reason.shape[1], device=ids.device)
    never = reason.shape[1] * len(FAULTS)
    code = torch.where(reason > 0, node * len(FAULTS) + reason, never).amin(-1)
    return torch.where(code < never, code, 0)
