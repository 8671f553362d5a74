"""Decoding of a batch by draft trees: each round drafts a tree and verifies it with one target call.

Axes: b batch, n ids of a sample, m nodes (the root counted), v vocabulary.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from crt_run.decoding import CheckedSession, check_request, inferring, vocabulary_of
from crt_run.sampling import probabilities
from crt_verify import enumeration
from crt_verify.drafters import Drafter
from crt_verify.drafters.draft_session import DraftSession
from crt_verify.drafters.tree_builder import TreeBuilder
from crt_verify.pairing import keywords
from crt_verify.specs import TreeDecoding
from crt_verify.state import DecodingState
from crt_verify.tree import Trees
from crt_verify.uniforms import Uniforms, UniformStream
from crt_verify.verdict import Fault, Verdict, check
from crt_verify.verifier import Verifier
from crtcore import Sampling
from crtcore.kinds import Generation, Prior, Request


class TreeDecoder:
    """Samples from the target's distribution with at most one target call an id, by a drafter and a rule that fit.

    Raises: ValueError with the reason if drafter and rule do not fit, or if there is no such verification backend.
    """

    def __init__(self, drafter: Drafter, rule: str, verification: str = "auto") -> None:
        self.drafter = drafter
        self.builder = drafter.build()
        self.verifier = Verifier(rule, keywords(drafter, rule), nodes=drafter.nodes, requested=verification)

    @property
    def backend(self) -> str:
        """What verifies, and why; set by the first verdict."""
        return self.verifier.backend

    @inferring
    def generate(self, target: Prior, request: Request, *, draft: Prior | None = None) -> Generation:
        """Ids after `prompt`; uniforms are addressed by the position at which a round starts, and by node.

        Raises: ValueError if there is no draft, if its vocabulary differs, or if the request does not fit; PriorError
        if a prior returns no distributions; RunError if the kernels are requested and cannot run.
        """
        began = time.perf_counter()
        draft = _fitting(target, draft)
        check_request(request, target, draft)
        prompt, limits, sampling, class_ids = request.prompt, request.limits, request.sampling, request.class_ids
        start = (prompt >= 0).sum(-1)
        state, draft_calls = DecodingState(start, limits), torch.zeros_like(start)
        longest = min(len(self.builder.widths), limits.length - 1)
        capacity = prompt.shape[1] + limits.length - 1
        stream = UniformStream(self.builder, request.row_seeds, start, limits.length)
        if limits.length:
            nodes = self.drafter.nodes
            session = CheckedSession(target, "target", prompt, class_ids, capacity=capacity, room=nodes)
            p = probabilities(session.next_logits, sampling)[:, None]  # b 1 v
            verdict = _undrafted(p, session, state, self.verifier, stream.at(state.count))
            session.check()
        if longest > 0:
            drawn = self.drafter.sampling(sampling)
            room = 2 + sum(self.builder.widths)
            opened = CheckedSession(draft, "draft", prompt, class_ids, capacity=capacity, room=room, reads=False)
            session_of_draft = DraftSession(opened, state.last, drawn)
            parts = _Parts(session, opened, session_of_draft, self.builder, self.verifier, sampling)
            draft_calls += state.active
            while (state.active & (verdict.fault + opened.fault == 0).all() & (session.fault == 0).all()).any():
                draft_calls += (state.remaining - 1).clamp(0, longest)
                verdict = _round(parts, state, stream.at(state.count))
            opened.check()
            session.check()
            check(verdict)
        return state.generation(draft_calls, time.perf_counter() - began)

    @torch.no_grad()
    def distribution(
        self, target: Prior, request: Request, *, draft: Prior | None = None
    ) -> dict[tuple[int, ...], float]:
        """The exact distribution of the emitted row, over every draft tree and both outcomes of every accept test.

        Raises: ValueError as `generate` does, or if there are too many rows or trees to enumerate.
        """
        draft = _fitting(target, draft)
        check_request(request, target, draft)
        p, q = (
            enumeration.rows_of(prior, name, request.prompt, sampling, request.class_ids)
            for prior, name, sampling in (
                (target, "target", request.sampling),
                (draft, "draft", self.drafter.sampling(request.sampling)),
            )
        )
        return enumeration.row_distribution(p, q, self.drafter, self.verifier.reference, request.limits)


class _Parts(NamedTuple):
    """What a round works with."""

    target: CheckedSession
    opened: CheckedSession
    """The draft's."""
    draft: DraftSession
    builder: TreeBuilder
    verifier: Verifier
    sampling: Sampling
    """The target's."""


def _fitting(target: Prior, draft: Prior | None) -> Prior:
    """The draft, if it fits the target."""
    if draft is None:
        raise ValueError("expected a draft prior, got none: a verifier accepts or rejects what a draft proposes")
    if (own := vocabulary_of(draft, "draft")) != (ids := vocabulary_of(target, "target")):
        raise ValueError(f"expected a draft over the target's {ids} ids, got {own}")
    return draft


def _undrafted(
    p: Float[Tensor, "b 1 v"], session: CheckedSession, state: DecodingState, verifier: Verifier, uniforms: Uniforms
) -> Verdict:
    """Emits one id from p: the verdict on a tree of no ids."""
    root = torch.full_like(uniforms.accept[:, :1], -1)  # b 1
    trees = Trees(root, root, torch.ones_like(root[:, 0]))
    verdict = verifier.verify(trees, p, p, uniforms.accept[:, :1], uniforms.final[:, :1])
    verdict = verdict._replace(fault=torch.where(state.active, verdict.fault, 0))  # the others read nothing
    session.record(verdict.fault > 0)
    state.emit(verdict.final[:, None], proposed=verdict.length, accepted=verdict.length)
    return verdict


def _round(parts: _Parts, state: DecodingState, uniforms: Uniforms) -> Verdict:
    """Drafts a tree no deeper than each row can still use, verifies it, and emits and commits the result.

    On a CPU the draft is not called where every row takes its last id; elsewhere, to know would wait for the device.
    """
    depths = (state.remaining - 1).clamp(min=0)
    if depths.is_cpu and not depths.any():
        p = probabilities(parts.target.extend(state.last[:, None]), parts.sampling)
        return _undrafted(p, parts.target, state, parts.verifier, uniforms)
    proposal = parts.builder.propose(parts.draft, depths, uniforms.draft)
    parts.opened.record(parts.draft.broken)
    trees = proposal.trees
    ids = torch.cat([state.last[:, None], trees.tokens[:, 1:]], 1)  # b m
    logits = parts.target.extend(ids, torch.cat([trees.parents[:, :1], trees.parents[:, 1:].clamp(min=0)], 1))
    p = probabilities(logits, parts.sampling)
    nodes = ids.shape[1]
    verdict = parts.verifier.verify(trees, p, proposal.q, uniforms.accept[:, :nodes], uniforms.final[:, :nodes])
    verdict = verdict._replace(fault=torch.where(state.active, verdict.fault, 0))  # the others read nothing
    parts.target.record(verdict.fault % len(Fault) == Fault.TARGET_ENTRY)
    there = verdict.path >= 0
    at = verdict.path.clamp(min=0)
    accepted = torch.where(there, trees.tokens.gather(1, at), -1)  # b k
    block = torch.nn.functional.pad(accepted, (0, 1), value=-1).scatter(
        1, verdict.length[:, None], verdict.final[:, None]
    )
    state.emit(block, proposed=trees.nodes - 1, accepted=verdict.length)
    root = torch.where(state.active, 0, -1)[:, None]  # b 1
    parts.target.commit(torch.where(root == 0, torch.cat([root, verdict.path], 1), -1))
    places = torch.where(there, proposal.places.gather(1, at), -1)
    parts.draft.keep(places, accepted, state.last, state.active)
    return verdict


def tree_decoder(spec: TreeDecoding) -> TreeDecoder:
    """The decoder of a spec's drafter and rule."""
    return TreeDecoder(spec.drafter, spec.rule, spec.verification)
