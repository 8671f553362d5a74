"""Normal numbers of a counter-based stream.

Axes: b batch, n places of a sample, d channels.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from crtcore.noise import Noise


def normal(noise: Noise, places: int, channels: int) -> Float[Tensor, "b n d"]:
    """Standard normal numbers in float64, each a pure function of the sample's seed, the place and the channel.

    Cost: two 16-bit integers for each number, so that one round of the generator serves four. The quantile function is
    the device's: its last bits may differ between devices, the integers do not.
    """
    stream = Noise(noise.seed[:, None], noise.under("normal numbers").stream)
    halves = stream.shorts(2 * channels, torch.arange(places, device=stream.seed.device))  # b n 2d
    whole = halves[..., ::2] << 16 | halves[..., 1::2]  # b n d
    numbers: Tensor = torch.special.ndtri((whole.double() + 0.5) / 2**32)
    return numbers
