"""Bottlenecks that break one law each: a sound one inside, and one thing changed."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from torch import Tensor

from crtcore.kinds.bottleneck import Bottleneck, Squeezed


@attrs.frozen
class Altered:
    """A bottleneck with one thing changed."""

    inner: Bottleneck
    squeeze: Callable[[Bottleneck, Tensor], Squeezed] | None
    look: Callable[[Bottleneck, Tensor], Tensor] | None
    vocabulary: int | None

    @property
    def width(self) -> int:
        """The width of the one within."""
        return self.inner.width

    def __call__(self, features: Tensor) -> Squeezed:
        """Changed, if that is what is changed."""
        return self.squeeze(self.inner, features) if self.squeeze else self.inner(features)

    def lookup(self, ids: Tensor) -> Tensor:
        """Changed, if that is what is changed."""
        return self.look(self.inner, ids) if self.look else self.inner.lookup(ids)


def altered(
    squeeze: Callable[[Bottleneck, Tensor], Squeezed] | None = None,
    look: Callable[[Bottleneck, Tensor], Tensor] | None = None,
    vocabulary: int | None = None,
) -> Callable[[Bottleneck], Altered]:
    """Makes a sound bottleneck an altered one."""
    return lambda inner: Altered(inner, squeeze, look, inner.vocabulary if vocabulary is None else vocabulary)


def after(change: Callable[[Squeezed], Squeezed]) -> Callable[[Bottleneck], Altered]:
    """Changes what a sound bottleneck lets through."""
    return altered(squeeze=lambda inner, features: change(inner(features)))


def opposite(inner: Bottleneck, features: Tensor) -> Squeezed:
    """The codes of the features' mirror image."""
    squeezed = inner(-features)
    compared = -squeezed.compared
    return squeezed._replace(compared=compared, codes=squeezed.codes.detach() + compared - compared.detach())
