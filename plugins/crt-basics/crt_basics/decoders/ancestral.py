"""Ancestral decoding: one id for each call, from the target's distribution.

Axes: b batch, n ids of a row, v vocabulary.
"""

from __future__ import annotations

import time

import torch
from jaxtyping import Float
from torch import Tensor

from crt_basics.decoders.specs import Ancestral
from crt_run.decoding import CheckedSession, check_request, inferring, next_distributions
from crt_run.sampling import pick, probabilities
from crtcore.kinds import Generation, Prior, Request
from crtcore.noise import Noise

ROWS = 100_000
"""The most rows whose distribution is enumerated."""


class AncestralDecoder:
    """Draws each id from the target's distribution; a draft, if any, is not used."""

    @inferring
    def generate(self, target: Prior, request: Request, *, draft: Prior | None = None) -> Generation:
        """Ids after `prompt`, with a target call for each; uniforms depend on the position, so a draw can be resumed.

        Raises: ValueError if the request does not fit the target, PriorError if the target returns no distribution.
        """
        began = time.perf_counter()
        check_request(request, target)
        prompt, limits, sampling = request.prompt, request.limits, request.sampling
        start = (prompt >= 0).sum(-1)
        places = start[:, None] + torch.arange(limits.length, device=prompt.device)  # b n
        # All at once: one by one they cost more than the distributions.
        uniforms = Noise(request.row_seeds[:, None], "ancestral").bits(places)
        stop = prompt.new_tensor(limits.stop)
        ids = prompt.new_full((len(prompt), limits.length), -1)
        active = torch.ones_like(start, dtype=torch.bool)
        for step in range(limits.length):
            if step == 0:
                capacity = prompt.shape[1] + limits.length - 1
                session = CheckedSession(target, "target", prompt, request.class_ids, capacity=capacity, room=1)
            else:
                last = ids[:, step - 1 : step]  # b 1
                session.extend(last)
                session.commit(last.clamp(max=0))  # column 0, or none
            distribution = probabilities(session.next_logits, sampling)
            broken = active & distribution[:, 0].isnan()  # it is NaN in all places, or in none
            session.record(broken)
            active = active & ~broken
            ids[:, step] = torch.where(active, pick(distribution, uniforms[:, step]), -1)
            active = active & ~torch.isin(ids[:, step], stop)
            if limits.stop and not active.any():
                break
        if limits.length:
            session.check()
        calls = (ids >= 0).sum(-1)
        nothing = torch.zeros_like(calls)
        return Generation(ids, ids.clamp(max=0), calls, nothing, nothing.clone(), time.perf_counter() - began)

    @torch.no_grad()
    def distribution(
        self, target: Prior, request: Request, *, draft: Prior | None = None
    ) -> dict[tuple[int, ...], float]:
        """The exact distribution of the emitted row, by one full pass of the target for each depth.

        Raises: ValueError or PriorError as `generate` does, or if there are too many rows to enumerate.
        """
        check_request(request, target)
        prompt, limits, sampling, class_ids = request.prompt, request.limits, request.sampling, request.class_ids
        if target.vocabulary**limits.length > ROWS:
            raise ValueError(f"expected at most {ROWS} rows, got {target.vocabulary}**{limits.length}")
        ended: dict[tuple[int, ...], float] = {}
        going: dict[tuple[int, ...], float] = {(): 1.0}
        for _ in range(limits.length):
            tails = prompt.new_tensor(list(going)).reshape(len(going), -1)
            ids = torch.cat([prompt[prompt >= 0].expand(len(going), -1), tails], -1)
            classes = None if class_ids is None else class_ids.expand(len(going))
            grown = _grow(going, next_distributions(target, "target", ids, classes, sampling))
            ended |= {row: weight for row, weight in grown.items() if row[-1] in limits.stop}
            going = {row: weight for row, weight in grown.items() if row[-1] not in limits.stop}
            if not going:
                break
        return ended | going


def _grow(rows: dict[tuple[int, ...], float], distributions: Float[Tensor, "b v"]) -> dict[tuple[int, ...], float]:
    """Every row followed by every possible id."""
    pairs = zip(rows.items(), distributions.tolist(), strict=True)
    return {(*row, x): weight * p for (row, weight), following in pairs for x, p in enumerate(following) if p > 0}


def ancestral(_: Ancestral) -> AncestralDecoder:
    """The decoder."""
    return AncestralDecoder()
