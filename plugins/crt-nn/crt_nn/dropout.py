"""Dropout whose masks depend only on a seed, the step and the place, so that resuming changes none.

Axes: b batch, t positions, w width.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crt_nn.context import AttentionContext
from crtcore.noise import Noise


class Dropout(nn.Module):
    """Zeroes a share of all channels in training and scales up the others.

    Source: Srivastava et al. (2014), Journal of Machine Learning Research 15, 1929.
    """

    seed: Tensor

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.register_buffer("seed", torch.randint(2**62, ()), persistent=False)  # equal for equal seeds of the build

    def forward(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """Drops channels if the context has a training step; else returns the features.

        Units: the share counts in 65,536ths, rounded down.
        """
        dropped = int(self.share * 2**16)
        if context.step is None or not dropped:
            return features
        rows = torch.arange(len(features), device=features.device)
        uniforms = Noise(self.seed, "dropout").shorts(features.shape[1] * features.shape[2], context.step, rows)
        return torch.where(uniforms.view_as(features) >= dropped, features, 0) * (2**16 / (2**16 - dropped))


class WithDropout(nn.Module):
    """A sub-layer with dropout of its output."""

    def __init__(self, sublayer: nn.Module, share: float) -> None:
        super().__init__()
        self.sublayer = sublayer
        self.dropout = Dropout(share)

    def forward(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """Returns the sub-layer's output, with channels dropped in training."""
        result: Tensor = self.dropout(self.sublayer(features, context), context)
        return result
