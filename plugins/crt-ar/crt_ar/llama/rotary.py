"""Rotary positions with a base of their own, stretched as Llama 3.1 has them.

Axes: b batch, t positions, h heads, d head width, p pairs of channels.
"""

from __future__ import annotations

import math

from jaxtyping import Float, Int
from torch import Tensor

from crt_ar.llama.shape import Stretch
from crt_nn.rotary import frequencies, rotate_by


def rotate_stretched(
    features: Float[Tensor, "b t h d"], positions: Int[Tensor, "b t"], *, base: float, stretch: Stretch | None
) -> Float[Tensor, "b t h d"]:
    """Turns each pair of neighbouring channels; None is no stretch."""
    speeds = frequencies(features, features.shape[-1], base=base)
    return rotate_by(features, positions, speeds if stretch is None else stretched(speeds, stretch))


def stretched(speeds: Float[Tensor, " p"], stretch: Stretch) -> Float[Tensor, " p"]:
    """Slow pairs turn `factor` times slower, fast ones as before, those between them a share of each.

    Source: huggingface/transformers, modeling_rope_utils.py, `_compute_llama3_parameters`.
    """
    turns = speeds * (stretch.original / (2 * math.pi))
    kept = ((turns - stretch.low) / (stretch.high - stretch.low)).clamp(0, 1)
    return speeds * (kept + (1 - kept) / stretch.factor)
