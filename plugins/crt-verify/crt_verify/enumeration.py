"""The exact law of a decoder of chains, by following every branch; tiny vocabularies only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import cache
from itertools import product
from math import prod

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_verify.rules import rule
from crt_verify.tree import Tree
from crtcore import Limits, Sampling, probabilities
from crtcore.kinds import Prior

ROWS = 100_000
"""Most rows whose law is enumerated."""

Ids = tuple[int, ...]
Rows = Callable[[Ids], Tensor]
"""Emitted ids to the float64 law of the next one."""


def rows_of(prior: Prior, prompt: Int[Tensor, "1 n"], sampling: Sampling, condition: Int[Tensor, "1"] | None) -> Rows:
    """The laws a prior gives after a prompt, by a full pass each, remembered."""
    start = prompt[prompt >= 0]

    @cache
    def row(emitted: Ids) -> Float[Tensor, " v"]:
        logits = prior(torch.cat([start, start.new_tensor(emitted)])[None], condition)[0, -1]
        return probabilities(logits.double(), sampling)

    return row


def chain_law(p: Rows, q: Rows, vocabulary: int, longest: int, limits: Limits) -> dict[Ids, float]:
    """The law of the rows that chains of up to `longest` ids give.

    Raises: ValueError if there are too many rows to enumerate.
    """
    if vocabulary**limits.length > ROWS:
        raise ValueError(f"expected at most {ROWS} rows, got {vocabulary}**{limits.length}")

    @cache
    def after(emitted: Ids) -> dict[Ids, float]:
        remaining = limits.length - len(emitted)
        if remaining == 0 or (emitted and emitted[-1] in limits.stop):
            return {(): 1.0}
        size = min(longest, remaining - 1) if emitted else 0  # the first id comes with the prompt's own call
        law: defaultdict[Ids, float] = defaultdict(float)
        for chain in product(range(vocabulary), repeat=size):
            before = [emitted + chain[:node] for node in range(size + 1)]
            drafted = prod(float(q(context)[x]) for context, x in zip(before, chain, strict=False))
            if drafted > 0:
                for emission, chance in _round(chain, p, q, before).items():
                    block = _until(limits.stop, emission)
                    for rest, weight in after(emitted + block).items():
                        law[block + rest] += drafted * chance * weight
        return dict(law)

    return after(())


def _round(chain: Ids, p: Rows, q: Rows, before: list[Ids]) -> dict[Ids, float]:
    """The law of what one round emits, given the chain."""
    target = torch.stack([p(context) for context in before])  # L+1 v
    draft = torch.stack([q(context) for context in before])
    return rule("single").law(Tree(range(-1, len(chain)), (-1, *chain)), target, draft)


def _until(stop: Ids, block: Ids) -> Ids:
    """The block up to its first stop id, that one included."""
    ends = [place for place, x in enumerate(block, start=1) if x in stop]
    return block[: ends[0]] if ends else block
