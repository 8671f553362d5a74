"""Foretelling: what a head says of each latent, given those before it in a stated order.

Axes: b batch, n codes of a sample, m of them that are foretold, d latent width, o numbers said of one.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from crt_vq.regularizers.head import head
from crt_vq.regularizers.specs import ForesightSpec


class Foreteller(nn.Module):
    """A head, the order in which it meets latents, and what stands before the first of them."""

    def __init__(self, spec: ForesightSpec, latent: int, outputs: int, length: int) -> None:
        super().__init__()
        if spec.order and len(spec.order) != length:
            raise ValueError(f"expected an order of {length} positions, got one of {len(spec.order)}")
        self.order = list(spec.order)
        self.head = head(spec, latent, outputs, length)
        self.first = nn.Parameter(torch.zeros(latent)) if spec.first == "learned" else None

    def foretold(self, values: Shaped[Tensor, "b n *rest"]) -> Shaped[Tensor, "b m *rest"]:
        """Of values for each code, those for the codes that are foretold, in the order of foretelling."""
        ordered = values[:, self.order] if self.order else values
        return ordered[:, 1:] if self.first is None else ordered

    def forward(self, latents: Float[Tensor, "b n d"], mask: Bool[Tensor, "b n"]) -> Float[Tensor, "b m o"]:
        """What is said of every latent that is foretold, in the order of foretelling."""
        if self.order:  # raster order has absent latents at its end, where nothing sees them
            latents = latents.where(mask.unsqueeze(-1), 0)[:, self.order]
        if self.first is None:
            said: Tensor = self.head(latents)[:, :-1]
        else:
            said = self.head(torch.cat([self.first.expand(len(latents), 1, -1), latents[:, :-1]], 1))
        return said


def mean_present(errors: Float[Tensor, "b m"], present: Bool[Tensor, "b m"]) -> Float[Tensor, ""]:
    """The mean of the errors that are present, 0 if there is none."""
    return torch.where(present, errors, 0).sum() / present.sum().clamp(min=1)
