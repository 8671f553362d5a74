"""Bounds on what any exact verifier can accept.

Axes: *b rows, v vocabulary, t quadrature points. Drafts are sampled from q; the target is p.
Source: Khisti et al. (2024), arXiv:2410.18234; Hu et al. (2025), arXiv:2502.18779. By max-flow and min-cut the most is
1 + min over sets T of ids of p(T) - Pr(all drafts lie in T), and for drafts sampled from one row, with or without
replacement, it is enough to try the T that are the first ids in the order of p / q.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import linprog
from scipy.sparse import coo_array
from torch import Tensor

from crt_verify.tree import Tree

Ids = tuple[int, ...]
Rows = Callable[[Ids], Tensor]
"""Maps ids after the root to the distribution of the next one."""

_STEP = 0.25  # of the quadrature in log time; its error falls as exp(-pi**2 / step), here 7e-18
_TIGHT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}  # the solver's smallest
_WIDE = 2.0**100  # times the smallest number, its inverse is still finite
_TAIL = 40.0  # exp(-40) = 4e-18 is left out at either end
_RARE = 1e-16  # ids that are all drawn with less than this chance are left out


def acceptance_bound(
    p: Float[Tensor, "*b v"], q: Float[Tensor, "*b v"], k: int, replacement: bool
) -> Float[Tensor, "*b"]:
    """The largest acceptance of a node with `k` children sampled from q, in float64; the error is below 1e-13.

    Without replacement, a q with fewer than `k` possible ids has as many children as those.
    Cost: one sort and a scan; without replacement and from three children on, about 150 products times k for each id
    but the rarest, which together are drawn with a chance below 1e-16.
    Raises: ValueError if k is under 1.
    """
    if k < 1:
        raise ValueError(f"expected at least 1 draft, got {k}")
    p, q = _normalised(p), _normalised(q)
    if not replacement and k > 2:
        q = _without_rare(q, k)
    order = torch.where(q > 0, p / q, torch.inf).argsort(-1)
    p, q = p.gather(-1, order), q.gather(-1, order)
    inside = q.cumsum(-1)
    outside = torch.nn.functional.pad(q.flip(-1).cumsum(-1).flip(-1)[..., 1:], (0, 1))  # exactly 0 past the support
    if replacement or k == 1:
        within = inside**k
    elif k == 2:
        within = _pairs_within(q, inside, outside)
    else:
        within = _race_within(q, outside, k)
    within = torch.where(outside > 0, within, 1.0)
    return 1 + (p.cumsum(-1) - within).amin(-1).clamp(-1, 0)


def greedy_bound(p: Float[Tensor, "*b v"], q: Float[Tensor, "*b v"], k: int) -> Float[Tensor, "*b"]:
    """The largest acceptance of a node whose children are the `k - 1` likeliest ids and one sampled from the rest of q.

    Source: Hu et al. (2025), arXiv:2502.18779. Of equally likely ids the smaller one comes first.
    Raises: ValueError if k is under 1.
    """
    if k < 1:
        raise ValueError(f"expected at least 1 draft, got {k}")
    p, q = _normalised(p), _normalised(q)
    order = q.sort(dim=-1, descending=True, stable=True).indices
    p, q = p.gather(-1, order), q.gather(-1, order)
    sure = torch.where(q[..., : k - 1] > 0, p[..., : k - 1], 0).sum(-1)
    rest = q[..., k - 1 :]
    total = rest.sum(-1, keepdim=True)
    drawn = torch.where(total > 0, rest / total, 0)
    return (sure + torch.minimum(p[..., k - 1 :], drawn).sum(-1)).clamp(max=1)


def fixed_bound(p: Float[Tensor, "*b v"], ids: Int[Tensor, "*b k"]) -> Float[Tensor, "*b"]:
    """The largest acceptance of a node whose children are `ids`: their probability. Id -1 is absent."""
    p = _normalised(p)
    drafted = torch.zeros(*p.shape[:-1], p.shape[-1] + 1, dtype=torch.bool, device=p.device)
    drafted = drafted.scatter(-1, torch.where(ids >= 0, ids, p.shape[-1]), True)[..., :-1]
    return torch.where(drafted, p, 0).sum(-1)


def path_bounds(p: Rows, q: Rows, length: int, k: int) -> list[float]:
    """For each level of `k` independent paths, the largest probability of accepting that many ids.

    Their sum bounds the mean accepted ids. Tiny vocabularies only: every word of `length` ids is enumerated.
    """
    bounds = []
    words: list[Ids] = [()]
    target = draft = torch.ones(1, dtype=torch.float64)
    for _ in range(length):
        target = (target[:, None] * torch.stack([_normalised(p(word)) for word in words])).flatten()
        draft = (draft[:, None] * torch.stack([_normalised(q(word)) for word in words])).flatten()
        words = [(*word, x) for word in words for x in range(len(target) // len(words))]
        bounds.append(float(acceptance_bound(target, draft, k, replacement=True)))
    return bounds


def level_bounds(drafts: Iterable[tuple[Tree, float]], p: Rows) -> list[float]:
    """For each level of sampled trees, the largest probability of accepting that many ids.

    Their sum bounds the mean accepted ids of any exact rule. It accepts i ids only if the emitted row starts with a
    word of level i, which makes a flow from the level's sets of words to the words of the target.
    Cost: a linear programme a level; its error is the solver's, 1e-10 a set or word.
    Raises: ValueError if the chances of the trees do not sum to 1.
    """
    levels: defaultdict[int, defaultdict[frozenset[Ids], float]] = defaultdict(lambda: defaultdict(float))
    whole = 0.0
    for tree, chance in drafts:
        whole += chance
        words = [tree.path(node) for node in range(len(tree))]
        for level in range(1, 1 + tree.depth):
            levels[level][frozenset(word for word in words if len(word) == level)] += chance
    if abs(whole - 1) > 1e-9:
        raise ValueError(f"expected trees whose chances sum to 1, got {whole}")
    return [_flow(levels[level], p) for level in sorted(levels)]


def _normalised(row: Float[Tensor, "*b v"]) -> Float[Tensor, "*b v"]:
    """The row in float64, normalised again: float32 rows miss 1 by their rounding."""
    row = row.double()
    return row / row.sum(-1, keepdim=True)


def _without_rare(q: Float[Tensor, "*b v"], k: int) -> Float[Tensor, "*b v"]:
    """The row without its rarest ids, of which `k` draws without replacement have any with less than the chance _RARE.

    Whatever the earlier draws were, the k-th likeliest id or a likelier one is left, so that a draw is among ids of
    mass m with a chance of at most m over its probability. Sharp rows over large vocabularies keep a few ids.
    """
    rising, order = q.sort(-1)
    least = rising[..., -min(k, q.shape[-1]), None]
    kept = torch.where(rising.cumsum(-1) > least * (_RARE / k), rising, 0)
    return torch.zeros_like(q).scatter(-1, order, kept)


def _pairs_within(
    q: Float[Tensor, "*b v"], inside: Float[Tensor, "*b v"], outside: Float[Tensor, "*b v"]
) -> Float[Tensor, "*b v"]:
    """The probability that two draws without replacement lie in each prefix; only positive terms are summed."""
    before = torch.nn.functional.pad(inside[..., :-1], (1, 0))
    others = before + outside  # 1 - q(x)
    odds = q / (others * _WIDE)
    earlier = torch.nn.functional.pad(odds.cumsum(-1)[..., :-1], (1, 0))
    return (q * _WIDE * earlier + q * (before / others)).cumsum(-1)


def _race_within(q: Float[Tensor, "*b v"], outside: Float[Tensor, "*b v"], k: int) -> Float[Tensor, "*b v"]:
    """The probability that `k` draws without replacement lie in each prefix.

    In an exponential race this is the probability that `k` ids of the prefix arrive before the first id outside it. The
    integral over that id's time is a trapezoid rule in log time, where the integrand is analytic and decays at either
    end. The number of arrivals is counted as the prefix grows, and only positive terms are summed.
    """
    least = float(torch.where(outside > 0, outside, 1).amin())
    last = math.log(_TAIL) - math.log(least) + _STEP
    time = torch.arange(-_TAIL / (k + 1), last, _STEP, dtype=q.dtype, device=q.device)  # t, as logarithms: no overflow
    counts = torch.zeros(k + 1, *q.shape[:-1], len(time), dtype=q.dtype, device=q.device)  # k+1 *b t
    counts[0] = 1
    within = torch.ones_like(q)
    for place in range(int((q > 0).sum(-1).amax())):  # all others come last, and nothing is outside
        arrivals = torch.exp(q[..., place, None].log() + time)  # *b t
        late, early = torch.exp(-arrivals), -torch.expm1(-arrivals)
        moved = counts[:-1] * early
        counts[:-1] *= late
        counts[1:] += moved
        others = outside[..., place, None].log() + time
        within[..., place] = (counts[-1] * torch.exp(others - others.exp())).sum(-1) * _STEP
    return within


def _flow(sets: dict[frozenset[Ids], float], p: Rows) -> float:
    """The largest flow from sets of words to their words, each word receiving at most its target probability."""
    names = {word: place for place, word in enumerate(sorted(set().union(*sets)))}
    chances = [math.prod(float(_normalised(p(word[:place]))[x]) for place, x in enumerate(word)) for word in names]
    edges = [(place, len(sets) + names[word]) for place, drawn in enumerate(sets) for word in sorted(drawn)]
    ends = np.array(edges).T  # 2 edges
    columns = np.tile(np.arange(len(edges)), (2, 1))
    room = coo_array((np.ones(ends.size), (ends.ravel(), columns.ravel())), shape=(len(sets) + len(names), len(edges)))
    limits = [*sets.values(), *chances]
    solved = linprog(-np.ones(len(edges)), room.tocsr(), limits, method="highs", options=_TIGHT)
    if not solved.success:
        raise ArithmeticError(f"expected a flow, got: {solved.message}")
    return float(-solved.fun)
