"""Causal regularisation: latents that a small transformer predicts from those before them.

Axes: b batch, n latents of a sample in raster order, d latent width, w width of the transformer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from crt_vq.specs import Causal
from crtcore.kinds import Encoded, Penalty


class Head(nn.Module):
    """Predicts the next latent at every position."""

    def __init__(self, spec: Causal, latent: int, length: int) -> None:
        super().__init__()
        self.embed = nn.Linear(latent, spec.width)
        self.positions = nn.Parameter(torch.randn(length, spec.width) / 10)
        # On one CPU thread torch's own layer takes two thirds of the time of `crtcore.nn`'s, whose rotary positions,
        # cache and backends are of no use to a head of fixed length that is thrown away.
        layer = partial(nn.TransformerEncoderLayer, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.ModuleList(layer(spec.width, spec.heads, 2 * spec.width) for _ in range(spec.layers))
        self.predict = nn.Sequential(nn.LayerNorm(spec.width), nn.Linear(spec.width, latent))

    def forward(self, latents: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Position i: latent i + 1, from latents 0 to i."""
        hidden = self.embed(latents) + self.positions[: latents.shape[1]]
        mask = nn.Transformer.generate_square_subsequent_mask(latents.shape[1], latents.device, hidden.dtype)
        for layer in self.layers:
            hidden = layer(hidden, src_mask=mask, is_causal=True)
        predicted: Tensor = self.predict(hidden)
        return predicted


def prediction_error(
    predicted: Float[Tensor, "b n d"], latents: Float[Tensor, "b n d"], mask: Bool[Tensor, "b n"]
) -> Float[Tensor, ""]:
    """Mean squared error over samples, positions but the first, and channels; absent positions do not count."""
    present = mask[:, 1:]
    errors = (predicted[:, :-1] - latents[:, 1:]).square().mean(-1)  # b n-1
    return torch.where(present, errors, 0).sum() / present.sum().clamp(min=1)


def carrying(value: Float[Tensor, ""], sources: Sequence[Tensor], gradients: Sequence[Tensor]) -> Float[Tensor, ""]:
    """`value`, unchanged, with these gradients at these sources and none elsewhere."""
    for source, gradient in zip(sources, gradients, strict=True):
        value = value + ((source - source.detach()) * gradient).sum()
    return value


class CausalForesight(nn.Module):
    """Penalises latents that their predecessors do not foretell."""

    def __init__(self, spec: Causal, latent: int, length: int) -> None:
        super().__init__()
        self.spec = spec
        self.head = Head(spec, latent, length)

    def forward(self, data: Tensor, encoded: Encoded, progress: float) -> Penalty:
        """The prediction's error: for the encoder with the head held still, for the head with the latents held still.

        Source: Ramanujan et al. (2024), arXiv:2412.16326; neither the context nor the target is detached.
        Cost: one pass through the head, forward and back, serves both; the error has first derivatives only.
        """
        parameters = list(self.head.parameters())
        with torch.enable_grad():
            latents = encoded.compared.detach().requires_grad_()
            error = prediction_error(self.head(latents), latents, encoded.mask)
            at_latents, *at_parameters = torch.autograd.grad(error, [latents, *parameters])
        error = error.detach()
        rise = min(progress / self.spec.ramp, 1.0) if self.spec.ramp else 1.0
        return Penalty(
            loss=rise * carrying(error, [encoded.compared], [at_latents]),
            own=carrying(error, parameters, at_parameters),
            readings={
                "prediction_error": error.item(),
                "latent_norm": encoded.features.detach().norm(dim=-1).mean().item(),
            },
        )
