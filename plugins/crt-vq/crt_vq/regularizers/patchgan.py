"""The patch discriminator: a logit for each patch of an image, high where it looks like data.

Axes: b batch, c image channels, y rows and x columns of an image, p rows and q columns of patches.
Source: Isola et al. (2017), arXiv:1611.07004, section 3.2.2 and appendix 6.1.2.
"""

from __future__ import annotations

from torch import nn

from crt_vq.regularizers.batch_norm import BatchNorm
from crt_vq.regularizers.specs import Adversarial

DEEPEST = 8
"""The widest layers have this many times the first layer's channels."""


def patch_discriminator(spec: Adversarial, channels: int) -> nn.Sequential:
    """Layers from images of `channels`, `b c y x`, to a logit for each patch, `b 1 p q`."""
    widths = [spec.channels * min(2**layer, DEEPEST) for layer in range(spec.layers + 1)]
    layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    for layer, width in enumerate(widths[1:], 1):
        stride = 1 if layer == spec.layers else 2
        # No bias: the batch norm that follows subtracts it.
        layers.append(nn.Conv2d(widths[layer - 1], width, 4, stride=stride, padding=1, bias=False))
        layers += [BatchNorm(width), nn.LeakyReLU(0.2)]
    network = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, padding=1))
    for each in network:
        if isinstance(each, nn.Conv2d):
            nn.init.normal_(each.weight, 0.0, 0.02)
        elif isinstance(each, nn.BatchNorm2d):
            nn.init.normal_(each.weight, 1.0, 0.02)
    return network


def smallest_image(layers: int) -> int:
    """The least rows and columns of an image with one patch."""
    rows: int = 3 * 2**layers
    return rows
