"""Ancestral decoding: one id a call, from the target's own law.

Axes: b batch, n ids of a row, v vocabulary.
"""

from __future__ import annotations

import time

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_basics.decoders.specs import Ancestral
from crtcore.kinds import Drawn, Prior
from crtcore.noise import Noise
from crtcore.sampling import pick, probabilities
from crtcore.settings import Limits, Sampling

ROWS = 100_000
"""Most rows whose law is enumerated."""


class AncestralDecoder:
    """Draws each id from the target's law of it; a draft, if there is one, is not used."""

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
        """Ids after `prompt`, a target call each; coins go by place in the sequence, so a draw can be taken up again.

        Raises: ValueError if a row's logits have no finite maximum.
        """
        began = time.perf_counter()
        start = (prompt >= 0).sum(-1)
        places = start[:, None] + torch.arange(limits.length, device=prompt.device)  # b n
        coins = Noise(seeds[:, None], "ancestral").bits(places)  # at once: one by one costs more than the law
        stop = prompt.new_tensor(limits.stop)
        ids = prompt.new_full((len(prompt), limits.length), -1)
        drawing = torch.ones_like(start, dtype=torch.bool)
        broken = torch.zeros_like(drawing)
        for step in range(limits.length):
            if step == 0:
                session = target.open(prompt, condition, capacity=prompt.shape[1] + limits.length - 1, room=1)
            else:
                last = ids[:, step - 1 : step]  # b 1
                session.extend(last)
                session.commit(last.clamp(max=0))  # column 0, or none
            law = probabilities(session.tip, sampling)
            broken |= drawing & law[:, 0].isnan()  # a law is NaN all over, or nowhere
            ids[:, step] = torch.where(drawing, pick(law, coins[:, step]), -1)
            drawing = drawing & ~torch.isin(ids[:, step], stop)
            if limits.stop and not drawing.any():
                break
        _sound(broken)
        calls = (ids >= 0).sum(-1)
        nothing = torch.zeros_like(calls)
        return Drawn(ids, ids.clamp(max=0), calls, nothing, nothing.clone(), time.perf_counter() - began)

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
        """The exact law of the emitted row, one full pass of the target a depth.

        Raises: ValueError if there are too many rows to enumerate.
        """
        if target.vocabulary**limits.length > ROWS:
            raise ValueError(f"expected at most {ROWS} rows, got {target.vocabulary}**{limits.length}")
        ended: dict[tuple[int, ...], float] = {}
        going: dict[tuple[int, ...], float] = {(): 1.0}
        for _ in range(limits.length):
            tails = prompt.new_tensor(list(going)).reshape(len(going), -1)
            ids = torch.cat([prompt[prompt >= 0].expand(len(going), -1), tails], -1)
            logits = target(ids, None if condition is None else condition.expand(len(going)))[:, -1]
            grown = _grow(going, probabilities(logits.double(), sampling))
            ended |= {row: weight for row, weight in grown.items() if row[-1] in limits.stop}
            going = {row: weight for row, weight in grown.items() if row[-1] not in limits.stop}
            if not going:
                break
        return ended | going


def _grow(rows: dict[tuple[int, ...], float], laws: Float[Tensor, "b v"]) -> dict[tuple[int, ...], float]:
    """Every row with every id that can follow it."""
    pairs = zip(rows.items(), laws.tolist(), strict=True)
    return {(*row, x): weight * p for (row, weight), law in pairs for x, p in enumerate(law) if p > 0}


def _sound(broken: Tensor) -> None:
    if broken.any():
        raise ValueError(f"row {int(broken.nonzero()[0])}: expected logits with a finite maximum")


def ancestral(_: Ancestral) -> AncestralDecoder:
    """The decoder."""
    return AncestralDecoder()
