"""Bottlenecks that break one law each: a sound bottleneck with one change."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from torch import Tensor

from crtcore.kinds.bottleneck import Bottleneck, BottleneckOutput
from crtcore.noise import Noise


@attrs.frozen
class Altered:
    """A sound bottleneck with one change."""

    inner: Bottleneck
    squeeze: Callable[[Callable[[Tensor], BottleneckOutput], Tensor], BottleneckOutput] | None
    look: Callable[[Bottleneck, Tensor], Tensor] | None
    vocabulary: int | None

    @property
    def width(self) -> int:
        """The width of the sound bottleneck."""
        return self.inner.width

    def __call__(self, features: Tensor, noise: Noise | None = None) -> BottleneckOutput:
        """The sound output, changed by `squeeze`."""

        def sound(features: Tensor) -> BottleneckOutput:
            return self.inner(features, noise=noise)

        return self.squeeze(sound, features) if self.squeeze else sound(features)

    def lookup(self, ids: Tensor) -> Tensor:
        """The sound codes, changed by `look`."""
        return self.look(self.inner, ids) if self.look else self.inner.lookup(ids)


def altered(
    squeeze: Callable[[Callable[[Tensor], BottleneckOutput], Tensor], BottleneckOutput] | None = None,
    look: Callable[[Bottleneck, Tensor], Tensor] | None = None,
    vocabulary: int | None = None,
) -> Callable[[Bottleneck], Altered]:
    """Makes the change to a sound bottleneck."""
    return lambda inner: Altered(inner, squeeze, look, inner.vocabulary if vocabulary is None else vocabulary)


def after(change: Callable[[BottleneckOutput], BottleneckOutput]) -> Callable[[Bottleneck], Altered]:
    """Changes the output of a sound bottleneck."""
    return altered(squeeze=lambda sound, features: change(sound(features)))


def leaking(share: float) -> Callable[[Bottleneck], Altered]:
    """Makes a sound bottleneck pass its latents as codes, without ids, at a share of its rate."""

    def leak(sound: Callable[[Tensor], BottleneckOutput], features: Tensor) -> BottleneckOutput:
        output = sound(features)
        return output._replace(codes=output.latents, ids=None, rate=share * output.rate)

    return lambda inner: Altered(inner, leak, None, None)


def unnamed(inner: Bottleneck) -> Altered:
    """Keeps the ids and drops the vocabulary."""
    return Altered(inner, None, None, None)


def opposite(sound: Callable[[Tensor], BottleneckOutput], features: Tensor) -> BottleneckOutput:
    """The codes of the negated features."""
    output = sound(-features)
    latents = -output.latents
    return output._replace(latents=latents, codes=output.codes.detach() + latents - latents.detach())
