"""The small convolutional networks: an image to a grid of features, and a grid of codes to an image.

Axes: b batch, c channels, y rows and x columns.
"""

from __future__ import annotations

from functools import partial

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from crt_vq.tokenizers.grid import GridTokenizer
from crt_vq.tokenizers.specs import Conv
from crtcore.kinds import Bottleneck


class Residual(nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.spread = nn.Conv2d(channels, channels, 3, padding=1)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, inputs: Float[Tensor, "b c y x"]) -> Float[Tensor, "b c y x"]:
        """The input plus the output of the convolutions."""
        added: Tensor = self.mix(functional.silu(self.spread(functional.silu(self.norm(inputs)))))
        return inputs + added


def encoder(spec: Conv, inward: int, outward: int) -> nn.Sequential:
    """Layers from an image of `inward` channels to a grid of features of width `outward`."""
    layers: list[nn.Module] = []
    for scale in range(spec.halvings):
        layers.append(nn.Conv2d(spec.channels if scale else inward, spec.channels, 4, stride=2, padding=1))
        layers += [Residual(spec.channels) for _ in range(spec.blocks)]
    return nn.Sequential(*layers, nn.SiLU(), nn.Conv2d(spec.channels, outward, 1))


def decoder(spec: Conv, inward: int, outward: int) -> nn.Sequential:
    """Layers from a grid of codes of width `inward` to an image of `outward` channels."""
    layers: list[nn.Module] = [nn.Conv2d(inward, spec.channels, 1)]
    for _ in range(spec.halvings):
        layers += [Residual(spec.channels) for _ in range(spec.blocks)]
        layers += [nn.Conv2d(spec.channels, 4 * spec.channels, 1), nn.PixelShuffle(2), nn.SiLU()]
    return nn.Sequential(*layers, nn.Conv2d(spec.channels, outward, 3, padding=1))


def conv(spec: Conv, bottleneck: Bottleneck, sample: Tensor, vocabulary: int | None = None) -> GridTokenizer:
    """A grid tokenizer with these networks."""
    return GridTokenizer(
        spec, bottleneck, sample, halvings=spec.halvings, encoder=partial(encoder, spec), decoder=partial(decoder, spec)
    )
