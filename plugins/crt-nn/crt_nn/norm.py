"""Root-mean-square normalisation."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class RMSNorm(nn.Module):
    """Scales each vector to unit mean square, then each channel by a learned gain.

    Source: Zhang and Sennrich (2019), arXiv:1910.07467, eq. 4.
    """

    def __init__(self, width: int, *, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, features: Float[Tensor, "... w"]) -> Float[Tensor, "... w"]:
        """Returns the scaled features; the mean square is computed in float32 at least."""
        wide = features.to(torch.promote_types(features.dtype, torch.float32))
        return functional.rms_norm(wide, self.gain.shape, eps=self.epsilon).to(features.dtype) * self.gain
