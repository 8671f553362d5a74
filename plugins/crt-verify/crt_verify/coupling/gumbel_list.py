"""Decoding by a race that draft and target share: the ids of a seed are the same whatever is drafted.

Axes: b batch, m nodes (the root counted), k accepted nodes, v vocabulary.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from crt_run.decoding import CheckedSession, check_request, inferring, vocabulary_of
from crt_run.sampling import probabilities
from crt_verify import enumeration
from crt_verify.coupling.exact import drawn_distribution
from crt_verify.coupling.race import Race
from crt_verify.coupling.race_builder import RaceBuilder
from crt_verify.coupling.spec import GumbelList
from crt_verify.drafters.draft_session import DraftSession
from crt_verify.state import DecodingState
from crt_verify.tree import Trees
from crtcore import Sampling
from crtcore.kinds import Generation, Prior, Request


class GumbelListDecoder:
    """Draws each id by the race of its position, and drafts by the same times under the draft's distribution."""

    def __init__(self, spec: GumbelList) -> None:
        self.spec = spec

    @inferring
    def generate(self, target: Prior, request: Request, *, draft: Prior | None = None) -> Generation:
        """Ids after `prompt`; without a draft the same ids, one for each call.

        Raises: ValueError if the draft's vocabulary differs, or if the request does not fit; PriorError if a prior
        returns no distributions.
        """
        began = time.perf_counter()
        _check(target, request, draft)
        prompt, limits, sampling, class_ids = request.prompt, request.limits, request.sampling, request.class_ids
        start = (prompt >= 0).sum(-1)
        state, draft_calls = DecodingState(start, limits), torch.zeros_like(start)
        race = Race(request.row_seeds, target.vocabulary)
        branching = self.spec.branching if draft is not None and limits.length > 1 else ()
        builder = RaceBuilder(branching[: limits.length - 1], race, own_times=self.spec.siblings == "own-times")
        nodes, capacity = 1 + sum(builder.widths), prompt.shape[1] + limits.length - 1
        if limits.length:
            session = CheckedSession(target, "target", prompt, class_ids, capacity=capacity, room=nodes)
            p = probabilities(session.next_logits, sampling)[:, None]  # b 1 v
            session.record(p[:, 0, 0].isnan())  # it is NaN in all places, or in none
            none = torch.zeros_like(start)
            state.emit(race.draw(p, start[:, None]), proposed=none, accepted=none)
            drafting = None
            if branching and draft is not None:
                opened = CheckedSession(draft, "draft", prompt, class_ids, capacity=capacity, room=1 + nodes)
                drafting = _Drafting(opened, DraftSession(opened, state.last, sampling), builder)
                draft_calls += state.active
            faults = [session.fault] if drafting is None else [session.fault, drafting.opened.fault]
            while (state.active & (torch.stack(faults) == 0).all()).any():
                draft_calls += (state.remaining - 1).clamp(0, len(builder.widths))
                _round(session, drafting, race, state, start + state.count, sampling)
                faults = [session.fault] if drafting is None else [session.fault, drafting.opened.fault]
            if drafting is not None:
                drafting.opened.check()
            session.check()
        return state.generation(draft_calls, time.perf_counter() - began)

    @torch.no_grad()
    def distribution(
        self, target: Prior, request: Request, *, draft: Prior | None = None
    ) -> dict[tuple[int, ...], float]:
        """The exact distribution of the emitted row: at each position, that of the first to arrive.

        Raises: ValueError or PriorError as `generate` does, or if there are too many rows to enumerate.
        """
        _check(target, request, draft)
        p = enumeration.rows_of(target, "target", request.prompt, request.sampling, request.class_ids)
        return drawn_distribution(p, request.limits)


class _Drafting(NamedTuple):
    """What drafts."""

    opened: CheckedSession
    session: DraftSession
    builder: RaceBuilder


def _check(target: Prior, request: Request, draft: Prior | None) -> None:
    if draft is not None and (own := vocabulary_of(draft, "draft")) != (ids := vocabulary_of(target, "target")):
        raise ValueError(f"expected a draft over the target's {ids} ids, got {own}")
    check_request(request, target, draft)


def _round(
    session: CheckedSession, drafting: _Drafting | None, race: Race, state: DecodingState,
    position: Int[Tensor, " b"], sampling: Sampling,
) -> None:  # fmt: skip
    """Drafts a tree no deeper than each row can still use, and draws ids down it as far as they were drafted.

    On a CPU the draft is not called where every row takes its last id; elsewhere, to know would wait for the device.
    """
    depths = (state.remaining - 1).clamp(min=0)
    if depths.is_cpu and not depths.any():
        drafting = None
    last, root = state.last, torch.zeros_like(position)[:, None]  # b 1
    trees, places, levels = Trees(root - 1, root - 1, torch.ones_like(position)), root, [0]
    if drafting is not None:
        opened, builder = drafting.opened, drafting.builder
        trees, _, places = builder.propose(drafting.session, depths, builder.integers(position))
        opened.record(drafting.session.broken)
        levels += [level for level, width in enumerate(builder.widths, start=1) for _ in range(width)]
    ids = torch.cat([last[:, None], trees.tokens[:, 1:]], 1)  # b m
    logits = session.extend(ids, torch.cat([root - 1, trees.parents[:, 1:].clamp(min=0)], 1))
    p = probabilities(logits, sampling)
    drawn = race.draw(p, position[:, None] + position.new_tensor(levels)[places])  # b m
    path = agreed(trees, drawn, max(levels))
    there, walk = path >= 0, torch.cat([root, path.clamp(min=0)], 1)  # b k, b 1+k
    reached = torch.cat([root == 0, there], 1)
    session.record((p[..., 0].isnan().gather(1, walk) & reached).any(-1) & state.active)
    length = there.sum(-1)
    emitted = torch.where(reached, drawn.gather(1, walk), -1)
    state.emit(emitted, proposed=trees.nodes - 1, accepted=length)
    session.commit(torch.where(reached & state.active[:, None], walk, -1))
    if drafting is not None:
        at = walk[:, 1:]
        accepted = torch.where(there, trees.tokens.gather(1, at), -1)
        drafting.session.keep(torch.where(there, places.gather(1, at), -1), accepted, state.last, state.active)


def agreed(trees: Trees, drawn: Int[Tensor, "b m"], levels: int) -> Int[Tensor, "b k"]:
    """The nodes from the root down whose id is the one drawn after their parent, the first of equal ones; -1: none."""
    at = torch.zeros_like(drawn[:, 0])
    going = torch.ones_like(at, dtype=torch.bool)
    path = [at[:0].new_empty(len(at), 0)]
    for _ in range(levels):
        here = (trees.parents == at[:, None]) & (trees.tokens == drawn.gather(1, at[:, None]))  # b m
        going = going & here.any(-1)
        at = torch.where(going, here.long().argmax(-1), at)
        path.append(torch.where(going, at, -1)[:, None])
    return torch.cat(path, 1)
