"""Decoders that break one law each: a sound one inside, and one thing changed on the way in or out.

Axes: b batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import torch
from torch import Tensor

from crtcore.kinds.decoder import Decoder, Drawn
from crtcore.settings import Limits

Asked = dict[str, Any]
"""What a decoder is asked, by parameter."""


class Spoiled:
    """A decoder that changes what its `draw` or its `law` is asked, or what `draw` tells."""

    def __init__(
        self,
        decoder: Decoder,
        *,
        ask: Callable[[Asked], Asked] = lambda asked: asked,
        tell: Callable[[Drawn], Drawn] = lambda drawn: drawn,
        ask_law: Callable[[Asked], Asked] = lambda asked: asked,
    ) -> None:
        self._decoder, self._ask, self._tell, self._ask_law = decoder, ask, tell, ask_law

    def draw(self, target: Any, prompt: Tensor, **asked: Any) -> Drawn:
        """The sound decoder's answer, one thing changed."""
        return self._tell(self._decoder.draw(**self._ask({"target": target, "prompt": prompt, **asked})))

    def law(self, target: Any, prompt: Tensor, **asked: Any) -> dict[tuple[int, ...], float]:
        """The sound decoder's law, one thing changed."""
        return self._decoder.law(**self._ask_law({"target": target, "prompt": prompt, **asked}))


def _whole(asked: Asked) -> Asked:
    return asked | {"sampling": attrs.evolve(asked["sampling"], top_k=0, top_p=1.0, min_p=0.0)}


def forgetful(decoder: Decoder) -> Spoiled:
    """Leaves top-k, top-p and min-p out of its law."""
    return Spoiled(decoder, ask_law=_whole)


def untruncated(decoder: Decoder) -> Spoiled:
    """Leaves top-k, top-p and min-p out of its draws."""
    return Spoiled(decoder, ask=_whole)


def thrifty(decoder: Decoder) -> Spoiled:
    """Makes one seed do for 64."""
    return Spoiled(decoder, ask=lambda asked: asked | {"seeds": asked["seeds"] & ~63})


def sociable(decoder: Decoder) -> Spoiled:
    """Adds a row's place to its seed."""
    return Spoiled(decoder, ask=lambda asked: asked | {"seeds": asked["seeds"] + torch.arange(len(asked["seeds"]))})


def padded(decoder: Decoder) -> Spoiled:
    """Adds the width of the prompts to every seed."""
    return Spoiled(decoder, ask=lambda asked: asked | {"seeds": asked["seeds"] + asked["prompt"].shape[1]})


def talkative(decoder: Decoder) -> Spoiled:
    """Goes on behind a stop id."""
    return Spoiled(decoder, ask=lambda asked: asked | {"limits": Limits(length=asked["limits"].length)})


def lukewarm(decoder: Decoder) -> Spoiled:
    """Takes temperature 0 for a half."""
    return Spoiled(
        decoder,
        ask=lambda asked: (
            asked
            if asked["sampling"].temperature
            else asked | {"sampling": attrs.evolve(asked["sampling"], temperature=0.5)}
        ),
    )


def lenient(decoder: Decoder) -> Spoiled:
    """Bans nothing."""
    return Spoiled(decoder, ask=lambda asked: asked | {"sampling": attrs.evolve(asked["sampling"], banned=())})


def flattering(decoder: Decoder) -> Spoiled:
    """Leaves the call that reads the prompt out of its count."""
    return Spoiled(decoder, tell=lambda drawn: drawn._replace(target_calls=(drawn.target_calls - 1).clamp(min=0)))


def moody(decoder: Decoder) -> Spoiled:
    """Answers otherwise when it is asked again."""
    last: list[Tensor] = []
    again = False

    def ask(asked: Asked) -> Asked:
        nonlocal again
        now = [asked["prompt"], asked["seeds"]]
        again = not again and len(last) == 2 and all(map(torch.equal, last, now))
        last[:] = now
        return asked | {"seeds": asked["seeds"] + again}

    return Spoiled(decoder, ask=ask)


@attrs.frozen
class Choosy:
    """Draws every row twice and keeps the one with the smaller first id."""

    decoder: Decoder

    def draw(self, target: Any, prompt: Tensor, *, seeds: Tensor, **asked: Any) -> Drawn:
        """One of two rows."""
        left, right = (self.decoder.draw(target, prompt, seeds=seeds ^ mask, **asked) for mask in (0, 1 << 40))
        first = (left.ids[:, :1] <= right.ids[:, :1]).all(-1)  # b

        def either(a: Any, b: Any) -> Any:
            return torch.where(first.reshape(-1, *[1] * (a.ndim - 1)), a, b) if isinstance(a, Tensor) else a

        return Drawn(*map(either, left, right))

    def law(self, target: Any, prompt: Tensor, **asked: Any) -> dict[tuple[int, ...], float]:
        """The law of one row."""
        return self.decoder.law(target, prompt, **asked)
