"""Rotary positions in two dimensions: half of the channels encode the row of a cell, half its column.

Axes: b batch, t positions, h heads, d head width, p pairs of channels.
"""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from crt_nn.rotary import frequencies


def grid_rotations(
    like: Float[Tensor, "b t h d"], cells: Int[Tensor, "b t"], *, columns: int
) -> Complex[Tensor, "b t 1 p"]:
    """Rotations by the row and column of a cell in raster order.

    A negative cell is no cell, and its features become 0. The number of rows is not limited. The width of a head is a
    multiple of 4.
    Source: FoundationVision/LlamaGen, autoregressive/models/gpt.py, `precompute_freqs_cis_2d`.
    """
    speeds = frequencies(like, like.shape[-1] // 2)
    places = torch.stack((cells // columns, cells % columns), -1)  # b t 2
    angles = (places[..., None].to(speeds.dtype) * speeds).flatten(-2)[:, :, None]  # b t 1 p
    lengths = (cells >= 0).to(speeds.dtype)[:, :, None, None].expand_as(angles)
    return torch.polar(lengths, angles)
