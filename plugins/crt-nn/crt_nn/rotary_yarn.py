"""YaRN: rotary positions for longer sequences than trained, with slow pairs of channels slowed down further.

Axes: b batch, t positions, h heads, d head width, p pairs of channels.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from crt_nn.rotary import BASE, frequencies
from crt_nn.yarn_settings import Yarn


def yarn_rotations(
    like: Float[Tensor, "b t h d"], positions: Int[Tensor, "b t"], *, yarn: Yarn
) -> Complex[Tensor, "b t 1 p"]:
    """Rotations of each pair at its new speed, longer than 1 for sharper attention.

    With scale 1 they are those of `rotations`, bit for bit.
    Source: Peng et al. (2023), arXiv:2309.00071, definition 2 and eq. 22.
    """
    width = like.shape[-1]
    speeds = frequencies(like, width)
    speeds = speeds * frequency_factors(yarn, width, speeds.device).to(speeds.dtype)
    angles = (positions[..., None].to(speeds.dtype) * speeds)[:, :, None]  # b t 1 p
    length = yarn.attention_factor * (1 + 0.1 * math.log(yarn.scale))
    return torch.polar(torch.full_like(angles, length), angles)


def frequency_factors(yarn: Yarn, width: int, device: torch.device, *, base: float = BASE) -> Float[Tensor, " p"]:
    """Returns the factor of each pair's speed: 1 from `beta_fast` turns on, 1 / scale up to `beta_slow` turns.

    Turns are counted over the original length. Between the two pairs, rounded outward, the factor falls linearly.
    Source: jquesnelle/yarn, scaled_rope/LlamaYaRNScaledRotaryEmbedding.py, `find_correction_range`.
    """
    low = max(math.floor(_pair(yarn.beta_fast, yarn.original_length, width, base)), 0)
    high = min(math.ceil(_pair(yarn.beta_slow, yarn.original_length, width, base)), width - 1)
    pairs = torch.arange(width // 2, dtype=torch.float64, device=device)
    kept = yarn.extrapolation * (1 - ((pairs - low) / max(high - low, 1e-3)).clamp(0, 1))
    return kept + (1 - kept) / yarn.scale


def _pair(turns: float, length: int, width: int, base: float) -> float:
    """Returns the pair, as a real number, that turns so many times over a length in a head of `width` channels."""
    return width * math.log(length / (turns * 2 * math.pi)) / (2 * math.log(base))
