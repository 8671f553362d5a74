"""Decoders that break one law each: a sound decoder with one change on the way in or out.

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
    """A sound decoder with a changed request of `generate` or `distribution`, or a changed generation."""

    def __init__(
        self,
        decoder: Decoder,
        *,
        request: Callable[[Request], Request] = lambda request: request,
        generation: Callable[[Generation], Generation] = lambda generation: generation,
        of_distribution: Callable[[Request], Request] = lambda request: request,
    ) -> None:
        self._decoder, self._request, self._generation = decoder, request, generation
        self._of_distribution = of_distribution

    def generate(self, target: Prior, request: Request, *, draft: Prior | None = None) -> Generation:
        """The sound generation, with the change."""
        return self._generation(self._decoder.generate(target, self._request(request), draft=draft))

    def distribution(
        self, target: Prior, request: Request, *, draft: Prior | None = None
    ) -> dict[tuple[int, ...], float]:
        """The sound distribution, with the change."""
        return self._decoder.distribution(target, self._of_distribution(request), draft=draft)


def _whole(request: Request) -> Request:
    return request._replace(sampling=attrs.evolve(request.sampling, top_k=0, top_p=1.0, min_p=0.0))


def forgetful(decoder: Decoder) -> Spoiled:
    """Leaves top-k, top-p and min-p out of its distribution."""
    return Spoiled(decoder, of_distribution=_whole)


def untruncated(decoder: Decoder) -> Spoiled:
    """Leaves top-k, top-p and min-p out of its samples."""
    return Spoiled(decoder, request=_whole)


class Rare(Spoiled):
    """Is biased by 0.001 where all rows of three ids of three are possible, and nowhere else."""

    def distribution(
        self, target: Prior, request: Request, *, draft: Prior | None = None
    ) -> dict[tuple[int, ...], float]:
        """The sound distribution, with the bias."""
        rows = dict(super().distribution(target, request, draft=draft))
        if len(rows) == 27:
            (low, _), *_, (high, _) = sorted(rows.items(), key=lambda row: row[1])
            rows[low], rows[high] = rows[low] + 1e-3, rows[high] - 1e-3
        return rows


def thrifty(decoder: Decoder) -> Spoiled:
    """Uses one seed for 64 rows."""
    return Spoiled(decoder, request=lambda request: request._replace(seeds=request.row_seeds & ~63))


def sociable(decoder: Decoder) -> Spoiled:
    """Adds a row's place to its seed."""
    return Spoiled(
        decoder, request=lambda request: request._replace(seeds=request.row_seeds + torch.arange(len(request.prompt)))
    )


def padded(decoder: Decoder) -> Spoiled:
    """Adds the width of the prompts to every seed."""
    return Spoiled(decoder, request=lambda request: request._replace(seeds=request.row_seeds + request.prompt.shape[1]))


def talkative(decoder: Decoder) -> Spoiled:
    """Continues after a stop id."""
    return Spoiled(decoder, request=lambda request: request._replace(limits=Limits(length=request.limits.length)))


def lukewarm(decoder: Decoder) -> Spoiled:
    """Samples at a temperature of 0.5 in place of 0."""
    return Spoiled(
        decoder,
        request=lambda request: (
            request
            if request.sampling.temperature
            else request._replace(sampling=attrs.evolve(request.sampling, temperature=0.5))
        ),
    )


def lenient(decoder: Decoder) -> Spoiled:
    """Bans nothing."""
    return Spoiled(
        decoder, request=lambda request: request._replace(sampling=attrs.evolve(request.sampling, banned=()))
    )


def flattering(decoder: Decoder) -> Spoiled:
    """Does not count the call that reads the prompt."""
    return Spoiled(decoder, generation=lambda made: made._replace(target_calls=(made.target_calls - 1).clamp(min=0)))


def moody(decoder: Decoder) -> Spoiled:
    """Generates other rows for a repeated request."""
    last: list[Tensor] = []
    again = False

    def change(request: Request) -> Request:
        nonlocal again
        now = [request.prompt, request.row_seeds]
        again = not again and len(last) == 2 and all(map(torch.equal, last, now))
        last[:] = now
        return request._replace(seeds=request.row_seeds + again)

    return Spoiled(decoder, request=change)


@attrs.frozen
class Choosy:
    """Generates every row twice and keeps the one with the smaller first id."""

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
