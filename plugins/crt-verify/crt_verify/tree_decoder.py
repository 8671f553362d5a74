"""Decoding of a batch by draft trees: a tree a round, one target call to judge it.

Axes: b batch, n ids of a sample, m nodes (the root counted), v vocabulary.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from crt_verify import enumeration
from crt_verify.coins import Coins, Deck
from crt_verify.drafters import Drafter
from crt_verify.drafters.drafting import Drafting
from crt_verify.drafters.growth import Growth
from crt_verify.judging import Judge
from crt_verify.ledger import Ledger
from crt_verify.pairing import keywords
from crt_verify.specs import TreeDecoding
from crt_verify.tree import Trees
from crt_verify.verdict import Verdict, check
from crtcore import Limits, Sampling, probabilities
from crtcore.kinds import Drawn, Prior, Session


class TreeDecoder:
    """Draws from the target's law with at most one target call an id, by a drafter and a rule that go together.

    Raises: ValueError saying why the two do not, or if there is no such verification.
    """

    def __init__(self, drafter: Drafter, rule: str, verification: str = "auto") -> None:
        self.drafter = drafter
        self.growth = drafter.build()
        self.judge = Judge(rule, keywords(drafter, rule), nodes=drafter.nodes, wanted=verification)

    @property
    def backend(self) -> str:
        """What judges, and why; there from the first verdict on."""
        return self.judge.backend

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

        Raises: ValueError if there is no draft, if it has another vocabulary, or if what a prior gives is no law;
        RunError if the kernels are wanted by name and cannot be had.
        """
        began = time.perf_counter()
        draft = _fitting(target, draft)
        start = (prompt >= 0).sum(-1)
        ledger, draft_calls = Ledger(start, limits), torch.zeros_like(start)
        longest = min(len(self.growth.widths), limits.length - 1)
        capacity = prompt.shape[1] + limits.length - 1
        deck = Deck(self.growth, seeds, start, limits.length)
        if limits.length:
            session = target.open(prompt, condition, capacity=capacity, room=self.drafter.nodes)
            verdict = _first(session, ledger, self.judge, sampling, deck.deal(ledger.count))
            check(verdict)
        if longest > 0:
            opened = draft.open(prompt, condition, capacity=capacity, room=1 + self.drafter.nodes)
            sides = _Sides(session, Drafting(opened, ledger.last, sampling), self.growth, self.judge)
            draft_calls += ledger.drawing
            while (ledger.drawing & (verdict.fault == 0).all()).any():
                draft_calls += (ledger.remaining - 1).clamp(0, longest)
                verdict = _round(sides, ledger, deck.deal(ledger.count))
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
        """The exact law of the emitted row: every tree the draft can propose, both branches of every coin.

        Raises: ValueError as `draw` does, or if there are too many rows to enumerate, or if the trees cannot be.
        """
        draft = _fitting(target, draft)
        p = enumeration.rows_of(target, prompt, sampling, condition)
        q = enumeration.rows_of(draft, prompt, sampling, condition)
        return enumeration.tree_law(p, q, self.drafter, self.judge.reference, limits)


class _Sides(NamedTuple):
    """Who takes part in a round."""

    target: Session
    draft: Drafting
    growth: Growth
    judge: Judge


def _fitting(target: Prior, draft: Prior | None) -> Prior:
    """The draft, if it can draft for the target."""
    if draft is None:
        raise ValueError("expected a draft prior, got none: a verifier judges what a draft proposes")
    if draft.vocabulary != target.vocabulary:
        raise ValueError(f"expected a draft over the target's {target.vocabulary} ids, got {draft.vocabulary}")
    return draft


def _first(session: Session, ledger: Ledger, judge: Judge, sampling: Sampling, given: Coins) -> Verdict:
    """The first id, from the call that read the prompt: a tree of no ids."""
    p = probabilities(session.tip, sampling)[:, None]  # b 1 v
    root = torch.full_like(given.accept[:, :1], -1)  # b 1
    trees = Trees(root, root, torch.ones_like(root[:, 0]))
    verdict = judge.verify(trees, p, p, given.accept[:, :1], given.final[:, :1])
    ledger.emit(verdict.final[:, None], proposed=verdict.length, accepted=verdict.length)
    return verdict


def _round(sides: _Sides, ledger: Ledger, given: Coins) -> Verdict:
    """Drafts a tree no deeper than each row can still use, judges it, and enters what came of it."""
    depths = (ledger.remaining - 1).clamp(min=0)
    drafted = sides.growth.propose(sides.draft, depths, given.draft)
    trees = drafted.trees
    ids = torch.cat([ledger.last[:, None], trees.tokens[:, 1:]], 1)  # b m
    logits = sides.target.extend(ids, torch.cat([trees.parents[:, :1], trees.parents[:, 1:].clamp(min=0)], 1))
    p = probabilities(logits, sides.draft.sampling)
    nodes = ids.shape[1]
    verdict = sides.judge.verify(trees, p, drafted.q, given.accept[:, :nodes], given.final[:, :nodes])
    there = verdict.path >= 0
    at = verdict.path.clamp(min=0)
    accepted = torch.where(there, trees.tokens.gather(1, at), -1)  # b k
    block = torch.nn.functional.pad(accepted, (0, 1), value=-1).scatter(
        1, verdict.length[:, None], verdict.final[:, None]
    )
    ledger.emit(block, proposed=trees.nodes - 1, accepted=verdict.length)
    root = torch.where(ledger.drawing, 0, -1)[:, None]  # b 1
    sides.target.commit(torch.where(root == 0, torch.cat([root, verdict.path], 1), -1))
    places = torch.where(there, drafted.places.gather(1, at), -1)
    sides.draft.keep(places, accepted, ledger.last, ledger.drawing)
    return verdict


def tree_decoder(spec: TreeDecoding) -> TreeDecoder:
    """The decoder that a spec pairs."""
    return TreeDecoder(spec.drafter, spec.rule, spec.verification)
