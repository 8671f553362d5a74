"""Bottlenecks that break one law each: a sound one inside, and one thing changed."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from torch import Tensor

from crtcore.kinds.bottleneck import Bottleneck, Squeezed
from crtcore.noise import Noise


@attrs.frozen
class Altered:
    """A bottleneck with one thing changed."""

    inner: Bottleneck
    squeeze: Callable[[Callable[[Tensor], Squeezed], Tensor], Squeezed] | None
    look: Callable[[Bottleneck, Tensor], Tensor] | None
    vocabulary: int | None

    @property
    def width(self) -> int:
        """The width of the one within."""
        return self.inner.width

    def __call__(self, features: Tensor, noise: Noise | None = None) -> Squeezed:
        """Changed, if that is what is changed."""

        def sound(features: Tensor) -> Squeezed:
            return self.inner(features, noise)

        return self.squeeze(sound, features) if self.squeeze else sound(features)

    def lookup(self, ids: Tensor) -> Tensor:
        """Changed, if that is what is changed."""
        return self.look(self.inner, ids) if self.look else self.inner.lookup(ids)


def altered(
    squeeze: Callable[[Callable[[Tensor], Squeezed], Tensor], Squeezed] | None = None,
    look: Callable[[Bottleneck, Tensor], Tensor] | None = None,
    vocabulary: int | None = None,
) -> Callable[[Bottleneck], Altered]:
    """Makes a sound bottleneck an altered one."""
    return lambda inner: Altered(inner, squeeze, look, inner.vocabulary if vocabulary is None else vocabulary)


def after(change: Callable[[Squeezed], Squeezed]) -> Callable[[Bottleneck], Altered]:
    """Changes what a sound bottleneck lets through."""
    return altered(squeeze=lambda sound, features: change(sound(features)))


def leaking(share: float) -> Callable[[Bottleneck], Altered]:
    """Makes a sound bottleneck let all through that it compares, without ids, at a share of its rate."""

    def leak(sound: Callable[[Tensor], Squeezed], features: Tensor) -> Squeezed:
        squeezed = sound(features)
        return squeezed._replace(codes=squeezed.compared, ids=None, rate=share * squeezed.rate)

    return lambda inner: Altered(inner, leak, None, None)


def opposite(sound: Callable[[Tensor], Squeezed], features: Tensor) -> Squeezed:
    """The codes of the features' mirror image."""
    squeezed = sound(-features)
    compared = -squeezed.compared
    return squeezed._replace(compared=compared, codes=squeezed.codes.detach() + compared - compared.detach())
