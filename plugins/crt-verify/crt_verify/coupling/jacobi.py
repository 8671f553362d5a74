"""Jacobi decoding: drafts are the ids that earlier calls of the target gave, with the rows they were drawn from.

A call reads a window of drafts, each drawn from the target's row after other ids, and draws every position anew from
its row after these. Where the new id is the draft, it has been drawn from the right row, up to and with the first that
differs. The others are the next window.

Positions are exact one after another: given all that happened before it, a position's draft has the distribution q of
the row it was drawn from, whichever coupling drew it, and what replaces it has the distribution p of the row now.
Axes: b batch, w positions of a window, v vocabulary.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from crt_run.decoding import CheckedSession, check_request, inferring
from crt_run.sampling import probabilities
from crt_verify import enumeration
from crt_verify.coupling.exact import drawn_distribution, jacobi_distribution
from crt_verify.coupling.redrawing import Coins, Coupling, Shared
from crt_verify.coupling.spec import Jacobi
from crt_verify.state import DecodingState
from crtcore import Sampling
from crtcore.kinds import Generation, Prior, Request


class JacobiDecoder:
    """Samples from the target's distribution with at most one target call an id, and without a draft model."""

    def __init__(self, spec: Jacobi) -> None:
        self.spec = spec

    @inferring
    def generate(self, target: Prior, request: Request, *, draft: Prior | None = None) -> Generation:
        """Ids after `prompt`; a draft, if any, is not used.

        Raises: ValueError if the request does not fit the target, PriorError if the target returns no distribution.
        """
        began = time.perf_counter()
        check_request(request, target)
        prompt, limits, sampling = request.prompt, request.limits, request.sampling
        start = (prompt >= 0).sum(-1)
        state, coupling = DecodingState(start, limits), _coupling(self.spec, target, request)
        width = min(self.spec.window, max(limits.length - 1, 0))
        if limits.length:
            capacity = prompt.shape[1] + limits.length - 1
            session = CheckedSession(target, "target", prompt, request.class_ids, capacity=capacity, room=1 + width)
            window = _first(session, state, coupling, sampling, start, width)
            while (state.active & (session.fault == 0).all()).any():
                window = _round(session, state, coupling, sampling, start + state.count, window)
            session.check()
        return state.generation(torch.zeros_like(start), time.perf_counter() - began)

    @torch.no_grad()
    def distribution(
        self, target: Prior, request: Request, *, draft: Prior | None = None
    ) -> dict[tuple[int, ...], float]:
        """The exact distribution of the emitted row, over every window of drafts and every outcome of every call.

        With the coupling `gumbel`, that of the first to arrive at each position, as no draft changes it.
        Raises: ValueError or PriorError as `generate` does, or if there are too many rows to enumerate.
        """
        check_request(request, target)
        p = enumeration.rows_of(target, "target", request.prompt, request.sampling, request.class_ids)
        if self.spec.coupling == "gumbel":
            return drawn_distribution(p, request.limits)
        independent = self.spec.coupling == "independent"
        return jacobi_distribution(p, request.limits, self.spec.window, independent=independent)


class _Window(NamedTuple):
    """Drafts for the ids that come next, in one column more than there are drafts: the last one has none."""

    drafts: Int[Tensor, "b w"]
    q: Float[Tensor, "b w v"]
    """The very rows that they were drawn from."""


def _first(
    session: CheckedSession, state: DecodingState, coupling: Coupling, sampling: Sampling,
    position: Int[Tensor, " b"], width: int,
) -> _Window:  # fmt: skip
    """Emits the first id, and drafts those after it from the same row, as there is no other yet."""
    q = probabilities(session.next_logits, sampling)[:, None].expand(-1, 1 + width, -1)
    session.record(q[:, 0, 0].isnan())  # it is NaN in all places, or in none
    drawn = coupling.fresh(q, position, 0)  # b 1+width
    none = torch.zeros_like(position)
    state.emit(drawn[:, :1], proposed=none, accepted=none)
    return _Window(pad(drawn[:, 1:], (0, 1), value=-1), q)


def _round(
    session: CheckedSession, state: DecodingState, coupling: Coupling, sampling: Sampling,
    position: Int[Tensor, " b"], window: _Window,
) -> _Window:  # fmt: skip
    """Draws anew what was drafted, emits it up to and with the first id that differs, and drafts what follows."""
    width = window.drafts.shape[1] - 1
    column, depths = torch.arange(1 + width, device=position.device), (state.remaining - 1).clamp(0, width)
    there = column < depths[:, None]
    ids = torch.cat([state.last[:, None], torch.where(there, window.drafts, -1)[:, :width]], 1)
    p = probabilities(session.extend(ids, (column - 1).expand_as(ids)), sampling)  # b 1+width v
    session.record(((ids >= 0) & p[..., 0].isnan()).any(-1))
    drawn = coupling.redrawn(p, window.q, window.drafts, there, position)
    agreed = ((drawn == window.drafts) & there).long().cumprod(-1).sum(-1, keepdim=True)  # b 1
    state.emit(torch.where(column <= agreed, drawn, -1), proposed=depths, accepted=agreed[:, 0])
    session.commit(torch.where((column <= agreed) & state.active[:, None], column, -1))
    # New positions come in only for a row whose window was full, so that the last row is one after its last draft.
    fresh = coupling.fresh(p[:, -1:].expand(-1, width, -1), position, 1 + width)
    following = column[:width] + agreed + 1  # b width
    drafts = torch.cat([drawn, fresh], 1).gather(1, following)
    rows = pad(following.clamp(max=width), (0, 1))[..., None].expand(-1, -1, p.shape[-1])
    return _Window(pad(drafts, (0, 1), value=-1), p.gather(1, rows))


def _coupling(spec: Jacobi, target: Prior, request: Request) -> Coupling:
    if spec.coupling == "gumbel":
        return Shared(request.row_seeds, target.vocabulary)
    return Coins(request.row_seeds, independent=spec.coupling == "independent")
