"""Speculative decoding of a batch: a chain of drafted ids a round, one target call to verify it.

Axes: b batch, n ids of a sample, L drafted ids, v vocabulary.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_verify import enumeration
from crt_verify.chain import ChainDrafter
from crt_verify.ledger import Ledger
from crt_verify.rules import rule
from crt_verify.specs import SpeculativeDecoding
from crt_verify.tree import Trees
from crt_verify.verdict import Verdict, check
from crtcore import Limits, Noise, Sampling, probabilities
from crtcore.kinds import Drawn, Prior, Session


class SpeculativeDecoder:
    """Draws from the target's law with at most one target call an id."""

    def __init__(self, spec: SpeculativeDecoding) -> None:
        self.spec = spec

    @torch.no_grad()
    def draw(
        self,
        target: Prior,
        prompt: Int[Tensor, "b n"],
        *,
        draft: Prior | None,
        limits: Limits,
        sampling: Sampling,
        condition: Int[Tensor, " b"] | None = None,
        seeds: Int[Tensor, " b"],
    ) -> Drawn:
        """Ids after `prompt`; coins go by the position in the sequence at which a round starts, and by node.

        Raises: ValueError if there is no draft, if it has another vocabulary, or if what a prior gives is no law.
        """
        began = time.perf_counter()
        draft = _fitting(target, draft)
        start = (prompt >= 0).sum(-1)
        ledger, draft_calls = Ledger(start, limits), torch.zeros_like(start)
        longest = min(self.spec.length, limits.length - 1)
        capacity = prompt.shape[1] + limits.length - 1
        if limits.length:
            session = target.open(prompt, condition, capacity=capacity, room=longest + 1)
            verdict = _first(session, ledger, sampling, _coins(seeds, start, 0))
            check(verdict)
        if longest > 0:
            drafting = draft.open(prompt, condition, capacity=capacity, room=longest + 1)
            drafter = ChainDrafter(drafting, ledger.last, sampling)
            draft_calls += ledger.drawing
            while (ledger.drawing & (verdict.fault == 0).all()).any():
                draft_calls += (ledger.remaining - 1).clamp(0, longest)
                verdict = _round(session, drafter, ledger, _coins(seeds, start + ledger.count, longest))
            check(verdict)
        return ledger.drawn(draft_calls, time.perf_counter() - began)

    @torch.no_grad()
    def law(
        self,
        target: Prior,
        prompt: Int[Tensor, "1 n"],
        *,
        draft: Prior | None,
        limits: Limits,
        sampling: Sampling,
        condition: Int[Tensor, "1"] | None = None,
    ) -> dict[tuple[int, ...], float]:
        """The exact law of the emitted row: every chain the draft can propose, both branches of every coin.

        Raises: ValueError as `draw` does, or if there are too many rows to enumerate.
        """
        draft = _fitting(target, draft)
        p = enumeration.rows_of(target, prompt, sampling, condition)
        q = enumeration.rows_of(draft, prompt, sampling, condition)
        return enumeration.chain_law(p, q, target.vocabulary, self.spec.length, limits)


def _fitting(target: Prior, draft: Prior | None) -> Prior:
    """The draft, if it can draft for the target."""
    if draft is None:
        raise ValueError("expected a draft prior, got none: speculative decoding verifies what a draft proposes")
    if draft.vocabulary != target.vocabulary:
        raise ValueError(f"expected a draft over the target's {target.vocabulary} ids, got {draft.vocabulary}")
    return draft


class _Coins(NamedTuple):
    """The coins of a round; node 0 is the last emitted id."""

    draft: Int[Tensor, "b L"]
    accept: Int[Tensor, "b L"]
    final: Int[Tensor, " b"]


def _coins(seeds: Int[Tensor, " b"], position: Int[Tensor, " b"], longest: int) -> _Coins:
    """Coins by seed, position, node and purpose: nothing that happens in a row or beside it moves them."""
    node, purpose = torch.arange(longest + 1, device=seeds.device), torch.arange(3, device=seeds.device)
    bits = Noise(seeds[:, None, None], "speculative").bits(position[:, None, None], node[:, None], purpose)  # b L+1 3
    return _Coins(bits[:, 1:, 0], bits[:, 1:, 1] >> 8, bits[:, 0, 2])


def _first(session: Session, ledger: Ledger, sampling: Sampling, coins: _Coins) -> Verdict:
    """The first id, from the call that read the prompt: a chain of no ids."""
    p = probabilities(session.tip, sampling)[:, None]  # b 1 v
    verdict = _judged(coins.accept, p, p[:, :0], coins)
    ledger.emit(verdict.final[:, None], proposed=verdict.length, accepted=verdict.length)
    return verdict


def _round(session: Session, drafter: ChainDrafter, ledger: Ledger, coins: _Coins) -> Verdict:
    """Drafts a chain no longer than each row can still use, verifies it, and enters what came of it."""
    sizes = (ledger.remaining - 1).clamp(0, coins.draft.shape[1])
    ids, q = drafter.propose(sizes, coins.draft)
    tree = torch.cat([ledger.last[:, None], ids], 1)  # b L+1
    p = probabilities(session.extend(tree), drafter.sampling)
    verdict = _judged(ids, p, q, coins)
    block = torch.nn.functional.pad(torch.where(verdict.path >= 0, ids, -1), (0, 1), value=-1)  # b L+1
    block = block.scatter(1, verdict.length[:, None], verdict.final[:, None])
    ledger.emit(block, proposed=sizes, accepted=verdict.length)
    root = torch.where(ledger.drawing, 0, -1)[:, None]  # b 1
    session.commit(torch.where(root == 0, torch.cat([root, verdict.path], 1), -1))
    drafter.keep(verdict.length, ledger.last, ledger.drawing)
    return verdict


def _judged(ids: Int[Tensor, "b L"], p: Float[Tensor, "b L+1 v"], q: Float[Tensor, "b L v"], coins: _Coins) -> Verdict:
    """The verdict on chains that end at their first absent id."""
    tokens = torch.nn.functional.pad(ids, (1, 0), value=-1)  # b L+1
    parents = torch.arange(-1, ids.shape[1], device=ids.device).expand_as(tokens)
    trees = Trees(parents, tokens, 1 + (ids >= 0).long().cumprod(-1).sum(-1))
    accept = torch.nn.functional.pad(coins.accept, (1, 0))
    q = torch.nn.functional.pad(q, (0, 0, 0, 1))
    return rule("single").verify(trees, p, q, accept, coins.final[:, None].expand_as(accept))
