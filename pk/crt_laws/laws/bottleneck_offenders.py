"""Bottlenecks that break one law each: a sound bottleneck with one change."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import torch
from torch import Tensor, nn

from crtcore.kinds.bottleneck import Bottleneck, BottleneckOutput, DiscreteBottleneck
from crtcore.noise import Noise


@attrs.frozen
class Altered:
    """A sound bottleneck with one change."""

    inner: Bottleneck
    squeeze: Callable[[Callable[[Tensor], BottleneckOutput], Tensor], BottleneckOutput] | None
    look: Callable[[DiscreteBottleneck, Tensor], Tensor] | None
    vocabulary: int | None

    @property
    def width(self) -> int:
        """The width of the sound bottleneck."""
        return self.inner.width

    def __call__(self, features: Tensor, *, noise: Noise | None = None) -> BottleneckOutput:
        """The sound output, changed by `squeeze`."""

        def sound(features: Tensor) -> BottleneckOutput:
            return self.inner(features, noise=noise)

        return self.squeeze(sound, features) if self.squeeze else sound(features)

    def lookup(self, ids: Tensor) -> Tensor:
        """The sound codes, changed by `look`."""
        assert isinstance(self.inner, DiscreteBottleneck)
        return self.look(self.inner, ids) if self.look else self.inner.lookup(ids)


def altered(
    squeeze: Callable[[Callable[[Tensor], BottleneckOutput], Tensor], BottleneckOutput] | None = None,
    look: Callable[[DiscreteBottleneck, Tensor], Tensor] | None = None,
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


class Counting(nn.Module):
    """A sound bottleneck that counts its passes."""

    steps: Tensor

    def __init__(self, inner: Bottleneck) -> None:
        super().__init__()
        self.inner = inner
        self.width, self.vocabulary = inner.width, inner.vocabulary
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, features: Tensor, *, noise: Noise | None = None) -> BottleneckOutput:
        """The sound output."""
        self.steps += 1
        return self.inner(features, noise=noise)

    def lookup(self, ids: Tensor) -> Tensor:
        """The sound codes."""
        assert isinstance(self.inner, DiscreteBottleneck)
        return self.inner.lookup(ids)


@attrs.frozen
class Changed(Altered):
    """A sound bottleneck whose output is changed with knowledge of the noise."""

    change: Callable[[BottleneckOutput, Noise | None], BottleneckOutput]

    def __call__(self, features: Tensor, *, noise: Noise | None = None) -> BottleneckOutput:
        """The sound output, changed by `change`."""
        return self.change(self.inner(features, noise=noise), noise)


def placed(inner: Bottleneck) -> Altered:
    """Makes a rate depend on the sample's place in the batch, where there is noise."""

    def change(output: BottleneckOutput, noise: Noise | None) -> BottleneckOutput:
        return output if noise is None else output._replace(rate=output.rate + torch.arange(len(output.rate)))

    return Changed(inner, None, None, inner.vocabulary, change)


def restless(inner: Bottleneck) -> Altered:
    """Makes the rate random where there is no noise."""

    def change(output: BottleneckOutput, noise: Noise | None) -> BottleneckOutput:
        return output._replace(rate=output.rate + torch.rand(())) if noise is None else output

    return Changed(inner, None, None, inner.vocabulary, change)


def opposite(sound: Callable[[Tensor], BottleneckOutput], features: Tensor) -> BottleneckOutput:
    """The codes of the negated features."""
    output = sound(-features)
    latents = -output.latents
    return output._replace(latents=latents, codes=output.codes.detach() + latents - latents.detach())


@attrs.frozen
class Idle(Altered):
    """A sound bottleneck with one more code, so far away that no feature is near it."""

    def lookup(self, ids: Tensor) -> Tensor:
        """The sound codes, and 1e9 for the last."""
        assert isinstance(self.inner, DiscreteBottleneck)
        last = ids == self.inner.vocabulary
        return self.inner.lookup(ids.masked_fill(last, 0)).masked_fill(last.unsqueeze(-1), 1e9)


def idle(inner: DiscreteBottleneck) -> Idle:
    """Adds a code that no feature reaches."""
    return Idle(inner, None, None, inner.vocabulary + 1)
