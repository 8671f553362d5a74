"""The exact distribution of a decoder's rows, over every tree and every branch; tiny vocabularies only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_run.decoding import next_distributions
from crt_verify.drafters import Drafter, draft_distribution
from crt_verify.rules import Rule
from crtcore import Limits, Sampling
from crtcore.kinds import Prior

ROWS = 100_000
"""The most rows that are enumerated."""

Ids = tuple[int, ...]
Rows = Callable[[Ids], Tensor]
"""Maps emitted ids to the float64 distribution of the next one."""


def rows_of(
    prior: Prior, name: str, prompt: Int[Tensor, "1 n"], sampling: Sampling, class_ids: Int[Tensor, "1"] | None
) -> Rows:
    """The distributions of the prior called `name` after a prompt, each by a full pass and cached."""
    start = prompt[prompt >= 0]

    @cache
    def row(emitted: Ids) -> Float[Tensor, " v"]:
        ids = torch.cat([start, start.new_tensor(emitted)])[None]
        return next_distributions(prior, name, ids, class_ids, sampling)[0]

    return row


def row_distribution(p: Rows, q: Rows, drafter: Drafter, rule: Rule, limits: Limits) -> dict[Ids, float]:
    """The distribution of the rows that a drafter and a rule emit.

    Raises: ValueError if there are too many rows to enumerate, or if the drafter's trees cannot be enumerated.
    """
    vocabulary = len(p(()))
    if vocabulary**limits.length > ROWS:
        raise ValueError(f"expected at most {ROWS} rows, got {vocabulary}**{limits.length}")

    @cache
    def after(emitted: Ids) -> dict[Ids, float]:
        remaining = limits.length - len(emitted)
        if remaining == 0 or (emitted and emitted[-1] in limits.stop):
            return {(): 1.0}
        depth = remaining - 1 if emitted else 0  # the call that reads the prompt emits the first id
        rows: defaultdict[Ids, float] = defaultdict(float)
        for emission, chance in _round(p, q, emitted, drafter, rule, depth).items():
            block = _until(limits.stop, emission)
            for rest, weight in after(emitted + block).items():
                rows[block + rest] += chance * weight
        return dict(rows)

    return after(())


def _round(p: Rows, q: Rows, emitted: Ids, drafter: Drafter, rule: Rule, depth: int) -> dict[Ids, float]:
    """The distribution of what one round emits, over all trees."""
    rows: defaultdict[Ids, float] = defaultdict(float)
    for tree, weight in draft_distribution(drafter, lambda path: q(emitted + path), depth=depth):
        paths = [tree.path(node) for node in range(len(tree))]
        target = torch.stack([p(emitted + path) for path in paths])  # m v
        unread = torch.zeros_like(target[0])
        draft = torch.stack([q(emitted + path) if tree.children(n) else unread for n, path in enumerate(paths)])
        for emission, chance in rule.distribution(tree, target, draft).items():
            rows[emission] += weight * chance
    return rows


def _until(stop: Ids, block: Ids) -> Ids:
    """The block up to its first stop id, that one included."""
    ends = [place for place, x in enumerate(block, start=1) if x in stop]
    return block[: ends[0]] if ends else block
