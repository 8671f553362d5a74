"""Rotary positions with a configurable base, scaled as in Llama 3.1.

Axes: b batch, t positions, h heads, d head width, p pairs of channels.
"""

from __future__ import annotations

import math

from jaxtyping import Complex, Float, Int
from torch import Tensor

from crt_ar.llama.shape import RopeScaling
from crt_nn.rotary import frequencies, rotations_by


def scaled_rotations(
    like: Float[Tensor, "b t h d"], positions: Int[Tensor, "b t"], *, base: float, scaling: RopeScaling | None
) -> Complex[Tensor, "b t 1 p"]:
    """Rotations by a base; None is no scaling."""
    speeds = frequencies(like, like.shape[-1], base=base)
    return rotations_by(positions, speeds if scaling is None else scaled_speeds(speeds, scaling))


def scaled_speeds(speeds: Float[Tensor, " p"], scaling: RopeScaling) -> Float[Tensor, " p"]:
    """Divides the speed of slow pairs by `factor`, keeps that of fast ones, and interpolates between them.

    Source: huggingface/transformers, modeling_rope_utils.py, `_compute_llama3_parameters`.
    """
    turns = speeds * (scaling.original / (2 * math.pi))
    kept = ((turns - scaling.low) / (scaling.high - scaling.low)).clamp(0, 1)
    return speeds * (kept + (1 - kept) / scaling.factor)
