"""LlamaGen's networks: an image to a grid of features, and a grid of codes to an image.

Axes: b batch, c channels, y rows and x columns.
Source: github.com/FoundationVision/LlamaGen, tokenizer/tokenizer_image/vq_model.py.
"""

from __future__ import annotations

import math
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from crt_vq.tokenizers.grid import GridTokenizer
from crt_vq.tokenizers.specs import VQGAN
from crtcore.kinds import Bottleneck


def normalisation(channels: int) -> nn.GroupNorm:
    """Group norm with 32 groups, or the largest common divisor of 32 and `channels`."""
    return nn.GroupNorm(math.gcd(32, channels), channels, eps=1e-6)


def convolution(inward: int, outward: int) -> nn.Conv2d:
    """A 3 by 3 convolution that keeps the grid's size."""
    return nn.Conv2d(inward, outward, 3, padding=1)


class Residual(nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, inward: int, outward: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([normalisation(inward), normalisation(outward)])
        self.convolutions = nn.ModuleList([convolution(inward, outward), convolution(outward, outward)])
        self.skip = nn.Identity() if inward == outward else nn.Conv2d(inward, outward, 1)

    def forward(self, inputs: Float[Tensor, "b c y x"]) -> Float[Tensor, "b d y x"]:
        """The input, mapped if its channels differ, plus the output of the convolutions."""
        added = inputs
        for norm, convolve in zip(self.norms, self.convolutions, strict=True):
            added = convolve(functional.silu(norm(added)))
        result: Tensor = self.skip(inputs) + added
        return result


class Attention(nn.Module):
    """Single-head self-attention among all cells, with a residual connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = normalisation(channels)
        self.query = nn.Conv2d(channels, channels, 1)
        self.key = nn.Conv2d(channels, channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.outward = nn.Conv2d(channels, channels, 1)

    def forward(self, inputs: Float[Tensor, "b c y x"]) -> Float[Tensor, "b c y x"]:
        """The input plus the output of attention."""
        normalised = self.norm(inputs)
        query, key, value = (
            project(normalised).flatten(2).mT[:, None] for project in (self.query, self.key, self.value)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)[:, 0]
        added: Tensor = self.outward(mixed.mT.reshape(inputs.shape))
        return inputs + added


def halving(channels: int) -> nn.Sequential:
    """Halves rows and columns by a strided convolution; zero padding only at the right and at the bottom."""
    return nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(channels, channels, 3, stride=2))


def doubling(channels: int) -> nn.Sequential:
    """Doubles rows and columns: nearest-neighbour upsampling and a convolution."""
    return nn.Sequential(nn.Upsample(scale_factor=2), convolution(channels, channels))


def _blocks(inward: int, outward: int, count: int, *, attends: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for block in range(count):
        layers.append(Residual(outward if block else inward, outward))
        layers += [Attention(outward)] if attends else []
    return layers


def _middle(channels: int) -> list[nn.Module]:
    return [Residual(channels, channels), Attention(channels), Residual(channels, channels)]


def _end(inward: int, outward: int) -> list[nn.Module]:
    return [normalisation(inward), nn.SiLU(), convolution(inward, outward)]


def encoder(spec: VQGAN, inward: int, outward: int) -> nn.Sequential:
    """Layers from an image of `inward` channels to a grid of features of width `outward`."""
    widths = [spec.channels * multiplier for multiplier in spec.multipliers]
    layers: list[nn.Module] = [convolution(inward, spec.channels)]
    for level, (before, width) in enumerate(zip([spec.channels, *widths], widths, strict=False)):
        last = level == spec.halvings
        layers += _blocks(before, width, spec.blocks, attends=last)
        layers += [] if last else [halving(width)]
    ending = [*_end(widths[-1], spec.latent), nn.Conv2d(spec.latent, outward, 1)]
    return nn.Sequential(*layers, *_middle(widths[-1]), *ending)


def decoder(spec: VQGAN, inward: int, outward: int) -> nn.Sequential:
    """Layers from a grid of codes of width `inward` to an image of `outward` channels, one more block at each level."""
    widths = [spec.channels * multiplier for multiplier in reversed(spec.multipliers)]
    layers = [nn.Conv2d(inward, spec.latent, 1), convolution(spec.latent, widths[0]), *_middle(widths[0])]
    for level, (before, width) in enumerate(zip([widths[0], *widths], widths, strict=False)):
        layers += _blocks(before, width, spec.blocks + 1, attends=level == 0)
        layers += [] if level == spec.halvings else [doubling(width)]
    return nn.Sequential(*layers, *_end(widths[-1], outward))


def vqgan(spec: VQGAN, bottleneck: Bottleneck, sample: Tensor, vocabulary: int | None = None) -> GridTokenizer:
    """A grid tokenizer with these networks."""
    return GridTokenizer(
        spec,
        bottleneck,
        sample,
        halvings=spec.halvings,
        encoder=partial(encoder, spec),
        decoder=partial(decoder, spec),
        loss=spec.loss,
    )
