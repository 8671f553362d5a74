"""Verifiers that are wrong in a known way, each with the sentence that a report gives for it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs
import numpy as np

from crt_verify.audit.blocks import Block
from crt_verify.audit.draft_free import TargetOnly
from crt_verify.audit.drafts import DraftTree, Rows
from crt_verify.audit.law import Verify
from crt_verify.audit.walk import End, Turn, Walk, kept, normal, positive, ratio, rest_or_p, without
from crt_verify.drafters import Branching, Chain, Drafter, Paths

HOT = 1.5
"""The temperature of a row that is read at another one."""


def tempered(row: Any) -> Any:
    """A row at a higher temperature."""
    return normal(np.where(row > 0, row, 0) ** (1 / HOT))


def cut(row: Any) -> Any:
    """A row without its least likely id."""
    short = row.copy()
    short[short.argmin()] = 0
    return normal(short)


def low(row: Any) -> Any:
    """A row in bfloat16, which keeps 8 bits."""
    bits = np.asarray(row, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32).astype(np.float64)


def _parent(rows: Rows, tree: DraftTree, node: int) -> Any:
    return rows[max(tree.parent(node), 0)]


def _child(rows: Rows, tree: DraftTree, node: int) -> Any:
    below = tree.children(node)
    return rows[below[0] if below else node]


def _best_first(children: list[int], tree: DraftTree, p: Any, q: Any) -> list[int]:
    return sorted(children, key=lambda child: -p[tree.token(child)] / max(q[tree.token(child)], 1e-300))


def _last_first(children: list[int], _: DraftTree, __: Any, ___: Any) -> list[int]:
    return children[::-1]


def _same_uniform(turn: Turn) -> float:
    tried = max(turn.before, default=0.0)
    return (min(ratio(turn), 1) - tried) / max(1 - tried, 1e-300)


def _banned(turn: Turn) -> Any:
    rest = turn.rest.copy()
    rest[turn.x] = 0
    return normal(rest)


def _greedy(end: End) -> Any:
    weights = rest_or_p(end)
    return np.eye(len(weights))[weights.argmax()] if end.rejected else weights


def _shared_noise(end: End) -> Any:
    """The law of the last id if it is the first in a race of exponential clocks that the draft's id came from.

    The draft's id x came first at time t, which is exponential, of clocks E_y / q_y. The same E_y / r_y then order the
    residual r. Given x and t, E_y = q_y t + F_y for all others, with fresh exponential F_y; t is integrated out, piece
    by piece between the times q_y t / r_y from which each id can win.
    """
    if len(end.rejected) != 1:
        return rest_or_p(end)
    rest, (x,) = rest_or_p(end), end.rejected
    own = [y for y in rest.nonzero()[0] if y != x]
    own.sort(key=lambda y: end.q[y] / rest[y])
    starts = [end.q[y] / rest[y] for y in own]
    weights = np.zeros_like(rest)
    for count, start in enumerate(starts, start=1):
        racing = own[:count]
        speed, ahead = rest[racing].sum(), end.q[racing].sum()
        until = 1 / (1 + speed * starts[count] - ahead) if count < len(starts) else 0
        weights[racing] += rest[racing] / speed * (1 / (1 + speed * start - ahead) - until)
    return weights if weights.sum() > 0 else rest


def _reused(end: End) -> Any:
    """The law of the last id if it is drawn, along the sums of the residual, by the uniform of the last rejection.

    That uniform is at least the ratio, so that the last id is one whose part of [0, 1] reaches above the ratio.
    """
    rest = rest_or_p(end)
    if not end.rejected:
        return rest
    sums = np.maximum(np.cumsum(normal(rest)), min(end.ratios[-1], 1))
    weights = np.diff(sums, prepend=min(end.ratios[-1], 1))
    return weights if weights.sum() > 0 else rest


def _reused_where_certain(end: End) -> Any:
    return _reused(end) if end.q.max() == 1 else rest_or_p(end)


def _walks(left: Any) -> dict[str, Verify]:
    """Mistakes of any tree; `left` is the right rule for what is left of q."""
    right = Walk(left=left)

    def wrong(**parts: Any) -> Walk:
        return attrs.evolve(right, **parts)

    return {
        "after a rejection the last id is drawn from p instead of the residual": wrong(last=lambda end: end.p),
        "the residual is |p - q| instead of the positive part of p - q": wrong(
            residual=lambda turn: normal(abs(turn.rest - turn.left))
        ),
        "the residual is (q - p)+: p and q are swapped": wrong(
            residual=lambda turn: normal(positive(turn.left - turn.rest))
        ),
        "the residual is p without the rejected id": wrong(residual=_banned),
        "the likeliest id of the residual is taken instead of a drawn one": wrong(last=_greedy),
        "the last id is drawn from q where nothing was rejected": wrong(
            last=lambda end: rest_or_p(end) if end.rejected else end.q
        ),
        "the last id is drawn from q after a rejection": wrong(
            last=lambda end: end.q if end.rejected else rest_or_p(end)
        ),
        "the last id is drawn with the random number of the accept test before it": wrong(last=_reused),
        "where the draft has one possible id, the last id is drawn with the random number of the accept test": wrong(
            last=_reused_where_certain
        ),
        "the ratio is q / p: p and q are swapped": wrong(
            ratio=lambda turn: turn.left[turn.x] / max(turn.rest[turn.x], 1e-300)
        ),
        "an id is accepted only where p >= q": wrong(ratio=lambda turn: float(ratio(turn) >= 1)),
        "an id is accepted with probability p instead of p / q": wrong(ratio=lambda turn: turn.rest[turn.x]),
        "every drafted id is accepted": wrong(ratio=lambda turn: 1.0),
        "an id is accepted if the target finds it likely enough (typical acceptance)": wrong(
            ratio=lambda turn: float(turn.p[turn.x] > 0.3)
        ),
        "the ratio is multiplied by a number above 1 (relaxed acceptance)": wrong(
            ratio=lambda turn: 1.25 * ratio(turn)
        ),
        "a round stops early where acceptance is unlikely": wrong(stop=lambda turn: ratio(turn) < 0.5),
        "q is read at another temperature than the draft was drawn with": wrong(q=lambda r, t, n: tempered(r[n])),
        "p is read at another temperature than the target has": wrong(p=lambda r, t, n: tempered(r[n])),
        "q is cut by top-k, but the draft was drawn from all of q": wrong(q=lambda r, t, n: cut(r[n])),
        "p is cut by top-k, but the target is not": wrong(p=lambda r, t, n: cut(r[n])),
        "q is read in bfloat16": wrong(q=lambda r, t, n: low(r[n])),
        "p is read in bfloat16": wrong(p=lambda r, t, n: normal(low(r[n]))),
        "p is read one place too early": wrong(p=_parent),
        "q is read one place too early": wrong(q=_parent),
        "q is read one place too late": wrong(q=_child),
        "p is read one place too late": wrong(p=_child),
    }


CHAINS: Mapping[str, Verify] = MappingProxyType(
    _walks(kept)
    | {
        "the last id is drawn with the same random numbers as the draft": Walk(last=_shared_noise),
        "block verification does not cap its ratio at 1 after each id": Block(capped=False),
        "ids are accepted one by one, but the residual is that of block verification": Block(alone=True),
        "the residual of block verification is not scaled by the accepted share": Block(scaled=False),
    }
)
"""Mistakes where each node has one child."""


def _siblings(right: Any, wrong: Any) -> dict[str, Verify]:
    return _walks(right) | {
        "q is renormalised without rejected siblings, but siblings can be equal here"
        if right is kept
        else "q is not renormalised without rejected siblings, but siblings are distinct here": Walk(left=wrong),
        "every sibling is tested against p instead of the residual of earlier rejections": Walk(
            left=right, ratio=lambda turn: turn.p[turn.x] / max(turn.left[turn.x], 1e-300)
        ),
        "the residual forgets all rejected siblings but the last": Walk(
            left=right, residual=lambda turn: normal(positive(turn.p - turn.left))
        ),
        "siblings are tested in the order of their ratios instead of draw order": Walk(left=right, order=_best_first),
        "all siblings are tested with the same random number": Walk(left=right, ratio=_same_uniform),
        **(
            {"siblings are tested in reverse draw order": Walk(left=right, order=_last_first)}
            if right is without
            else {}
        ),
    }


EQUAL: Mapping[str, Verify] = MappingProxyType(_siblings(kept, without))
"""Mistakes where siblings are independent."""
DISTINCT: Mapping[str, Verify] = MappingProxyType(_siblings(without, kept))
"""Mistakes where siblings are distinct."""
TARGET_ONLY: Mapping[str, Verify] = MappingProxyType(
    {
        "a drafted id is accepted wherever it is the target's likeliest id": TargetOnly(greedy=True),
        "an id that was not drafted is drawn a second time": TargetOnly(anew=True),
    }
)
"""Mistakes of verifiers that draw from p, and accept what was drafted."""


def mistakes(drafter: Drafter) -> dict[str, Verify]:
    """The known mistakes with the trees of a drafter."""
    own: dict[type[Drafter], Mapping[str, Verify]] = {Chain: CHAINS, Paths: EQUAL, Branching: DISTINCT}
    return {**own.get(type(drafter), {}), **TARGET_ONLY}
