"""Ancestral decoding: one id for each call, from the target's distribution.

Axes: b batch, n ids of a row, v vocabulary.
"""

from __future__ import annotations

import time

import torch
from jaxtyping import Float
from torch import Tensor

from crt_basics.decoders.specs import Ancestral
from crt_run.sampling import pick, probabilities
from crtcore.kinds import Generation, Prior, Request
from crtcore.noise import Noise

ROWS = 100_000
"""The most rows whose distribution is enumerated."""


class AncestralDecoder:
    """Draws each id from the target's distribution; a draft, if any, is not used."""

    @torch.no_grad()
    def generate(self, target: Prior, request: Request, *, draft: Prior | None = None) -> Generation:
        """Ids after `prompt`, with a target call for each; uniforms depend on the position, so a draw can be resumed.

        Raises: ValueError if a row's logits have no finite maximum.
        """
        began = time.perf_counter()
        prompt, limits, sampling = request.prompt, request.limits, request.sampling
        start = (prompt >= 0).sum(-1)
        places = start[:, None] + torch.arange(limits.length, device=prompt.device)  # b n
        # All at once: one by one they cost more than the distributions.
        uniforms = Noise(request.row_seeds[:, None], "ancestral").bits(places)
        stop = prompt.new_tensor(limits.stop)
        ids = prompt.new_full((len(prompt), limits.length), -1)
        active = torch.ones_like(start, dtype=torch.bool)
        broken = torch.zeros_like(active)
        for step in range(limits.length):
            if step == 0:
                session = target.open(prompt, request.class_ids, capacity=prompt.shape[1] + limits.length - 1, room=1)
            else:
                last = ids[:, step - 1 : step]  # b 1
                session.extend(last)
                session.commit(last.clamp(max=0))  # column 0, or none
            distribution = probabilities(session.next_logits, sampling)
            broken |= active & distribution[:, 0].isnan()  # a distribution is NaN in all places, or in none
            ids[:, step] = torch.where(active, pick(distribution, uniforms[:, step]), -1)
            active = active & ~torch.isin(ids[:, step], stop)
            if limits.stop and not active.any():
                break
        _check(broken)
        calls = (ids >= 0).sum(-1)
        nothing = torch.zeros_like(calls)
        return Generation(ids, ids.clamp(max=0), calls, nothing, nothing.clone(), time.perf_counter() - began)

    @torch.no_grad()
    def distribution(
        self, target: Prior, request: Request, *, draft: Prior | None = None
    ) -> dict[tuple[int, ...], float]:
        """The exact distribution of the emitted row, by one full pass of the target for each depth.

        Raises: ValueError if there are too many rows to enumerate.
        """
        prompt, limits, sampling, class_ids = request.prompt, request.limits, request.sampling, request.class_ids
        if target.vocabulary**limits.length > ROWS:
            raise ValueError(f"expected at most {ROWS} rows, got {target.vocabulary}**{limits.length}")
        ended: dict[tuple[int, ...], float] = {}
        going: dict[tuple[int, ...], float] = {(): 1.0}
        for _ in range(limits.length):
            tails = prompt.new_tensor(list(going)).reshape(len(going), -1)
            ids = torch.cat([prompt[prompt >= 0].expand(len(going), -1), tails], -1)
            logits = target(ids, None if class_ids is None else class_ids.expand(len(going)))[:, -1]
            grown = _grow(going, probabilities(logits.double(), sampling))
            ended |= {row: weight for row, weight in grown.items() if row[-1] in limits.stop}
            going = {row: weight for row, weight in grown.items() if row[-1] not in limits.stop}
            if not going:
                break
        return ended | going


def _grow(rows: dict[tuple[int, ...], float], distributions: Float[Tensor, "b v"]) -> dict[tuple[int, ...], float]:
    """Every row followed by every possible id."""
    pairs = zip(rows.items(), distributions.tolist(), strict=True)
    return {(*row, x): weight * p for (row, weight), following in pairs for x, p in enumerate(following) if p > 0}


def _check(broken: Tensor) -> None:
    if broken.any():
        raise ValueError(f"row {int(broken.nonzero()[0])}: expected logits with a finite maximum")


def ancestral(_: Ancestral) -> AncestralDecoder:
    """The decoder."""
    return AncestralDecoder()
