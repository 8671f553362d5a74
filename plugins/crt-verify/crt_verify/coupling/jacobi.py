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

import torch

from crt_run.decoding import CheckedSession, check_request, inferring
from crt_run.sampling import probabilities
from crt_verify import enumeration
from crt_verify.coupling.exact import drawn_distribution, jacobi_distribution
from crt_verify.coupling.redrawing import Coins, Shared
from crt_verify.coupling.spec import Jacobi
from crt_verify.state import DecodingState
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
        prompt, limits = request.prompt, request.limits
        start = (prompt >= 0).sum(-1)
        state = DecodingState(start, limits)
        coupling = _coupling(self.spec, target, request)
        width = min(self.spec.window, max(limits.length - 1, 0))
        if limits.length:
            capacity = prompt.shape[1] + limits.length - 1
            session = CheckedSession(target, "target", prompt, request.class_ids, capacity=capacity, room=1 + width)
            q = probabilities(session.next_logits, request.sampling)[:, None].expand(-1, 1 + width, -1)
            session.record(q[:, 0, 0].isnan())  # it is NaN in all places, or in none
            drawn = coupling.fresh(q, start, 0)  # b 1+w
            none = torch.zeros_like(start)
            state.emit(drawn[:, :1], proposed=none, accepted=none)
            drafts = torch.nn.functional.pad(drawn[:, 1:], (0, 1), value=-1)  # the last column never has one
            column = torch.arange(1 + width, device=prompt.device)
            while (state.active & (session.fault == 0).all()).any():
                position, depths = start + state.count, (state.remaining - 1).clamp(0, width)
                there = column < depths[:, None]
                ids = torch.where(there, drafts, -1).roll(1, -1)
                ids[:, 0] = state.last
                p = probabilities(session.extend(ids), request.sampling)  # b 1+w v
                session.record(((ids >= 0) & p[..., 0].isnan()).any(-1))
                drawn = coupling.redrawn(p, q, drafts, there, position)
                agreed = ((drawn == drafts) & there).long().cumprod(-1).sum(-1, keepdim=True)  # b 1
                state.emit(torch.where(column <= agreed, drawn, -1), proposed=depths, accepted=agreed[:, 0])
                session.commit(torch.where((column <= agreed) & state.active[:, None], column, -1))
                # A row with less than a window left keeps drafts that are there alone: nothing new comes in.
                fresh = coupling.fresh(p[:, -1:].expand(-1, width, -1), position, 1 + width)
                following = (column + agreed + 1)[:, :width]  # b w
                drafts = torch.cat([drawn, fresh], 1).gather(1, following)
                drafts = torch.nn.functional.pad(drafts, (0, 1), value=-1)
                rows = torch.nn.functional.pad(following.clamp(max=width), (0, 1))[..., None]
                q = p.gather(1, rows.expand(-1, -1, p.shape[-1]))
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


def _coupling(spec: Jacobi, target: Prior, request: Request) -> Coins | Shared:
    if spec.coupling == "gumbel":
        return Shared(request.row_seeds, target.vocabulary)
    return Coins(request.row_seeds, independent=spec.coupling == "independent")
