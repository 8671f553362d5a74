"""Rotary positions with a configurable base, scaled as in Llama 3.1, linearly, or by YaRN.

Axes: b batch, t positions, h heads, d head width, p pairs of channels.
"""

from __future__ import annotations

import math

from jaxtyping import Complex, Float, Int
from torch import Tensor

from crt_ar.llama.shape import LinearScaling, RopeScaling, Scaling, YarnScaling
from crt_nn.rotary import frequencies, rotations_by
from crt_nn.rotary_yarn import frequency_factors
from crt_nn.yarn_settings import Yarn


def scaled_rotations(
    like: Float[Tensor, "b t h d"], positions: Int[Tensor, "b t"], *, base: float, scaling: Scaling | None
) -> Complex[Tensor, "b t 1 p"]:
    """Rotations by a base; None is no scaling.

    Source: huggingface/transformers, modeling_rope_utils.py, `_compute_linear_scaling_rope_parameters`,
    `_compute_yarn_parameters` and `_compute_llama3_parameters`.
    """
    speeds = frequencies(like, like.shape[-1], base=base)
    match scaling:
        case RopeScaling():
            speeds = scaled_speeds(speeds, scaling)
        case LinearScaling(factor):
            speeds = speeds / factor
        case YarnScaling(factor, original, fast, slow, length):
            yarn = Yarn(scale=factor, original_length=original, beta_fast=fast, beta_slow=slow)
            factors = frequency_factors(yarn, like.shape[-1], like.device, base=base)
            return rotations_by(positions, speeds * factors.to(speeds.dtype), length=length)
    return rotations_by(positions, speeds)


def scaled_speeds(speeds: Float[Tensor, " p"], scaling: RopeScaling) -> Float[Tensor, " p"]:
    """Divides the speed of slow pairs by `factor`, keeps that of fast ones, and interpolates between them.

    Source: huggingface/transformers, modeling_rope_utils.py, `_compute_llama3_parameters`.
    """
    turns = speeds * (scaling.original / (2 * math.pi))
    kept = ((turns - scaling.low) / (scaling.high - scaling.low)).clamp(0, 1)
    return speeds * (kept + (1 - kept) / scaling.factor)
