"""The head: it predicts what follows each latent, from that latent and those before it.

Axes: b batch, n latents of a sample, d latent width, o numbers predicted for the next one.
"""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crt_vq.regularizers.specs import CausalSpec


class Head(nn.Module):
    """A small causal transformer."""

    def __init__(self, spec: CausalSpec, latent: int, outputs: int, length: int) -> None:
        super().__init__()
        self.embed = nn.Linear(latent, spec.width)
        self.positions = nn.Parameter(torch.randn(length, spec.width) / 10)
        # On one CPU thread torch's layer takes two thirds of the time of `crt_nn`'s, whose rotary positions, cache and
        # backends are of no use here: the length is fixed and the head is discarded after training.
        layer = partial(nn.TransformerEncoderLayer, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.ModuleList(layer(spec.width, spec.heads, 2 * spec.width) for _ in range(spec.layers))
        self.predict = nn.Sequential(nn.LayerNorm(spec.width), nn.Linear(spec.width, outputs))

    def forward(self, latents: Float[Tensor, "b n d"]) -> Float[Tensor, "b n o"]:
        """Position i predicts latent i + 1 from latents 0 to i."""
        hidden = self.embed(latents) + self.positions[: latents.shape[1]]
        mask = nn.Transformer.generate_square_subsequent_mask(latents.shape[1], latents.device, hidden.dtype)
        for layer in self.layers:
            hidden = layer(hidden, src_mask=mask, is_causal=True)
        predicted: Tensor = self.predict(hidden)
        return predicted


def head(spec: CausalSpec, latent: int, outputs: int, length: int) -> nn.Module:
    """The transformer of `spec`, or a linear map of each latent if it has no layers."""
    return Head(spec, latent, outputs, length) if spec.layers else nn.Linear(latent, outputs)
