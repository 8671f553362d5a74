"""Decoders that break one law each: a sound one inside, and one thing changed on the way in or out.

Axes: b batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import torch
from torch import Tensor

from crtcore.kinds.decoder import Decoder, Generation, Request
from crtcore.kinds.prior import Prior
from crtcore.settings import Limits


class Spoiled:
    """A decoder that changes what its `generate` or its `distribution` is asked, or what `generate` returns."""

    def __init__(
        self,
        decoder: Decoder,
        *,
        ask: Callable[[Request], Request] = lambda asked: asked,
        tell: Callable[[Generation], Generation] = lambda drawn: drawn,
        ask_law: Callable[[Request], Request] = lambda asked: asked,
    ) -> None:
        self._decoder, self._ask, self._tell, self._ask_law = decoder, ask, tell, ask_law

    def generate(self, target: Prior, request: Request, *, draft: Prior | None = None) -> Generation:
        """What the sound decoder generates, one thing changed."""
        return self._tell(self._decoder.generate(target, self._ask(request), draft=draft))

    def distribution(
        self, target: Prior, request: Request, *, draft: Prior | None = None
    ) -> dict[tuple[int, ...], float]:
        """The sound decoder's distribution, one thing changed."""
        return self._decoder.distribution(target, self._ask_law(request), draft=draft)


def _whole(asked: Request) -> Request:
    return asked._replace(sampling=attrs.evolve(asked.sampling, top_k=0, top_p=1.0, min_p=0.0))


def forgetful(decoder: Decoder) -> Spoiled:
    """Leaves top-k, top-p and min-p out of its law."""
    return Spoiled(decoder, ask_law=_whole)


def untruncated(decoder: Decoder) -> Spoiled:
    """Leaves top-k, top-p and min-p out of its draws."""
    return Spoiled(decoder, ask=_whole)


def thrifty(decoder: Decoder) -> Spoiled:
    """Makes one seed do for 64."""
    return Spoiled(decoder, ask=lambda asked: asked._replace(seeds=asked.row_seeds & ~63))


def sociable(decoder: Decoder) -> Spoiled:
    """Adds a row's place to its seed."""
    return Spoiled(decoder, ask=lambda asked: asked._replace(seeds=asked.row_seeds + torch.arange(len(asked.prompt))))


def padded(decoder: Decoder) -> Spoiled:
    """Adds the width of the prompts to every seed."""
    return Spoiled(decoder, ask=lambda asked: asked._replace(seeds=asked.row_seeds + asked.prompt.shape[1]))


def talkative(decoder: Decoder) -> Spoiled:
    """Goes on behind a stop id."""
    return Spoiled(decoder, ask=lambda asked: asked._replace(limits=Limits(length=asked.limits.length)))


def lukewarm(decoder: Decoder) -> Spoiled:
    """Takes temperature 0 for a half."""
    return Spoiled(
        decoder,
        ask=lambda asked: (
            asked
            if asked.sampling.temperature
            else asked._replace(sampling=attrs.evolve(asked.sampling, temperature=0.5))
        ),
    )


def lenient(decoder: Decoder) -> Spoiled:
    """Bans nothing."""
    return Spoiled(decoder, ask=lambda asked: asked._replace(sampling=attrs.evolve(asked.sampling, banned=())))


def flattering(decoder: Decoder) -> Spoiled:
    """Leaves the call that reads the prompt out of its count."""
    return Spoiled(decoder, tell=lambda drawn: drawn._replace(target_calls=(drawn.target_calls - 1).clamp(min=0)))


def moody(decoder: Decoder) -> Spoiled:
    """Answers otherwise when it is asked again."""
    last: list[Tensor] = []
    again = False

    def ask(asked: Request) -> Request:
        nonlocal again
        now = [asked.prompt, asked.row_seeds]
        again = not again and len(last) == 2 and all(map(torch.equal, last, now))
        last[:] = now
        return asked._replace(seeds=asked.row_seeds + again)

    return Spoiled(decoder, ask=ask)


@attrs.frozen
class Choosy:
    """Draws every row twice and keeps the one with the smaller first id."""

    decoder: Decoder

    def generate(self, target: Prior, request: Request, *, draft: Prior | None = None) -> Generation:
        """One of two rows."""
        left, right = (
            self.decoder.generate(target, request._replace(seeds=request.row_seeds ^ mask), draft=draft)
            for mask in (0, 1 << 40)
        )
        first = (left.ids[:, :1] <= right.ids[:, :1]).all(-1)  # b

        def either(a: Any, b: Any) -> Any:
            return torch.where(first.reshape(-1, *[1] * (a.ndim - 1)), a, b) if isinstance(a, Tensor) else a

        return Generation(*map(either, left, right))

    def distribution(
        self, target: Prior, request: Request, *, draft: Prior | None = None
    ) -> dict[tuple[int, ...], float]:
        """The distribution of one row."""
        return self.decoder.distribution(target, request, draft=draft)
