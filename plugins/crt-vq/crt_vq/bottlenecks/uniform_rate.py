"""The rate of codes under a uniform distribution.

Axes: b batch, n codes of a sample, w width.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def uniform_rate(latents: Float[Tensor, "b n w"], nats: float) -> Float[Tensor, " b"]:
    """The nats of each sample's codes, `nats` each; float32 at least, as bfloat16 would round them to three digits."""
    exact = torch.promote_types(latents.dtype, torch.float32)
    return latents.new_full((len(latents),), latents.shape[1] * nats, dtype=exact)
