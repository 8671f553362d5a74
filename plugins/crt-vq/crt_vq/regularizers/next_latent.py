"""Next-latent prediction: a head predicts each latent from those before it, in a fixed order.

Axes: b batch, n codes of a sample, m of them that are targets, d latent width, o numbers predicted for each target.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from crt_nn.ranks import portion
from crt_vq.regularizers.head import head
from crt_vq.regularizers.specs import CausalSpec


class NextLatentPredictor(nn.Module):
    """A head, the order in which it reads latents, and the learned context of the first one, if it is a target."""

    def __init__(self, spec: CausalSpec, latent: int, outputs: int, length: int) -> None:
        super().__init__()
        if spec.order and len(spec.order) != length:
            raise ValueError(f"expected an order of {length} positions, got one of {len(spec.order)}")
        self.order = list(spec.order)
        self.head = head(spec, latent, outputs, length)
        self.first = nn.Parameter(torch.zeros(latent)) if spec.first == "learned" else None

    def targets(self, values: Shaped[Tensor, "b n *rest"]) -> Shaped[Tensor, "b m *rest"]:
        """Those of `values`, one for each code, that belong to targets, in the order of prediction."""
        ordered = values[:, self.order] if self.order else values
        return ordered[:, 1:] if self.first is None else ordered

    def forward(self, latents: Float[Tensor, "b n d"], mask: Bool[Tensor, "b n"]) -> Float[Tensor, "b m o"]:
        """The prediction for each target, in the order of prediction."""
        if self.order:  # raster order has absent latents at its end, where nothing sees them
            latents = latents.where(mask.unsqueeze(-1), 0)[:, self.order]
        if self.first is None:
            predicted: Tensor = self.head(latents)[:, :-1]
        else:
            predicted = self.head(torch.cat([self.first.expand(len(latents), 1, -1), latents[:, :-1]], 1))
        return predicted


def mean_present(errors: Float[Tensor, "b m"], present: Bool[Tensor, "b m"]) -> Float[Tensor, ""]:
    """The mean of the errors that are present, or 0 if none is; of a share, its part of that of the batch."""
    return torch.where(present, errors, 0).sum() / portion(present.sum().clamp(min=1), present.numel())
