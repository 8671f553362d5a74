"""Converts images of crtcore to the bytes that torch-fidelity takes."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor


def eight_bit(images: Float[Tensor, "b ..."], what: str) -> UInt8[Tensor, "b 3 h w"]:
    """Converts images from -1 to 1 to bytes, grey ones to three equal channels; `what` names them in errors.

    Raises: ValueError if they are not images of one or three channels, or not finite.
    Source: FoundationVision/LlamaGen, autoregressive/sample/sample_c2i_ddp.py, which rounds the same way.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"fidelity: expected images of 1 or 3 channels for {what}, got shape {tuple(images.shape)}")
    if not images.isfinite().all():
        raise ValueError(f"fidelity: expected finite images for {what}, got some that are not")
    bytes_ = (127.5 * images.double() + 128).clamp(0, 255).to(torch.uint8)
    return bytes_.expand(-1, 3, -1, -1)
