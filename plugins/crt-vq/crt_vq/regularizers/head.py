"""The head: it predicts what follows each latent, from that latent and those before it.

Axes: b batch, n latents of a sample, d latent width, o numbers predicted for the next one.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from crt_vq.regularizers.specs import CausalSpec


class Mixing(nn.Module):
    """Sums of the positions before, by fixed learned weights for each group of channels, then the channels of each.

    Source: Tay et al. (2020), arXiv:2005.00743, the random synthesizer.
    """

    def __init__(self, width: int, groups: int, length: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.randn(groups, length, length) / length**0.5)
        self.channels = nn.Linear(width, width)

    def forward(self, hidden: Float[Tensor, "b n w"]) -> Float[Tensor, "b n w"]:
        """Position i sees 0 to i."""
        batch, length, width = hidden.shape
        weights = self.weights[:, :length, :length].tril()
        values = hidden.view(batch, length, len(weights), -1).transpose(1, 2)  # b g n w/g
        seen = (weights @ values).transpose(1, 2).reshape(batch, length, width)
        mixed: Tensor = functional.gelu(hidden + self.channels(seen))
        return mixed


class Masked(nn.Module):
    """A linear map of all positions at once, in which no position sees a later one.

    Source: Germain et al. (2015), arXiv:1502.03509, eq. 9.
    """

    def __init__(self, inputs: int, outputs: int, length: int) -> None:
        super().__init__()
        self.allowed: Tensor
        self.map = nn.Linear(length * inputs, length * outputs)
        allowed = torch.ones(length, length).tril().repeat_interleave(outputs, 0).repeat_interleave(inputs, 1)
        self.register_buffer("allowed", allowed, persistent=False)

    def forward(self, values: Float[Tensor, "b n i"]) -> Float[Tensor, "b n o"]:
        """Position i sees 0 to i."""
        mapped = functional.linear(values.flatten(1), self.map.weight * self.allowed, self.map.bias)
        return mapped.view(len(values), values.shape[1], -1)


class MaskedHead(nn.Module):
    """A masked autoencoder: masked maps with the latents beside the last hidden layer, as direct connections.

    Source: Germain et al. (2015), arXiv:1502.03509, section 4.
    Cost: of the square of the length; at 16 latents of 8 channels two matrix products of 128 rows and columns a layer.
    """

    def __init__(self, spec: CausalSpec, latent: int, outputs: int, length: int) -> None:
        super().__init__()
        widths = [latent] + [spec.width] * spec.layers
        self.layers = nn.ModuleList(Masked(*pair, length) for pair in pairwise(widths))
        self.predict = Masked(spec.width, outputs, length)
        self.direct = Masked(latent, outputs, length)

    def forward(self, latents: Float[Tensor, "b n d"]) -> Float[Tensor, "b n o"]:
        """Position i predicts latent i + 1 from latents 0 to i."""
        hidden = latents
        for layer in self.layers:
            hidden = functional.relu(layer(hidden))
        predicted: Tensor = self.predict(hidden) + self.direct(latents)
        return predicted


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
    """The head of `spec`, or a linear map of each latent if it has no layers."""
    if not spec.layers:
        return nn.Linear(latent, outputs)
    if spec.head == "transformer":
        return Head(spec, latent, outputs, length)
    if spec.head == "masked":
        return MaskedHead(spec, latent, outputs, length)
    blocks = [Mixing(spec.width, spec.heads, length) for _ in range(spec.layers)]
    return nn.Sequential(nn.Linear(latent, spec.width), *blocks, nn.Linear(spec.width, outputs))
