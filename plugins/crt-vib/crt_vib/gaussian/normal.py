"""Normal numbers of a counter-based stream.

Axes: b batch, n places of a sample, d channels.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crtcore.noise import Noise


def normal(seeds: Int[Tensor, " b"], places: int, channels: int) -> Float[Tensor, "b n d"]:
    """Standard normal numbers in float64, each a pure function of the sample's seed, the place and the channel.

    Cost: two 16-bit integers for each number, so that one round of the generator serves four. The quantile function is
    the device's: its last bits may differ between devices, the integers do not.
    """
    stream = Noise(seeds[:, None], "normal numbers")
    halves = stream.shorts(2 * channels, torch.arange(places, device=seeds.device))  # b n 2d
    whole = halves[..., ::2] << 16 | halves[..., 1::2]  # b n d
    numbers: Tensor = torch.special.ndtri((whole.double() + 0.5) / 2**32)
    return numbers
