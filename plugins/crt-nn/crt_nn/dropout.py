"""Dropout whose masks depend only on the noise that is passed.

Axes: b batch, t positions, w width.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crt_nn.context import AttentionContext


class Dropout(nn.Module):
    """Zeroes a share of all channels and scales up the others, where there is noise.

    Source: Srivastava et al. (2014), Journal of Machine Learning Research 15, 1929.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """Drops channels if the context has noise, each sample's by its own seed; else returns the features.

        Units: the share counts in 65,536ths, rounded down.
        """
        dropped = int(self.share * 2**16)
        if context.noise is None or not dropped:
            return features
        uniforms = context.noise.under("dropout").shorts(features.shape[1] * features.shape[2])
        return torch.where(uniforms.view_as(features) >= dropped, features, 0) * (2**16 / (2**16 - dropped))


class WithDropout(nn.Module):
    """A sub-layer with dropout of its output."""

    def __init__(self, sublayer: nn.Module, share: float) -> None:
        super().__init__()
        self.sublayer = sublayer
        self.dropout = Dropout(share)

    def forward(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """Returns the sub-layer's output, with channels dropped where there is noise."""
        result: Tensor = self.dropout(self.sublayer(features, context), context)
        return result
