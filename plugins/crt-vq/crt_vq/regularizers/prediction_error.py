"""Prediction error: the distance from latents to what the head predicted for them.

Axes: b batch, m latents of a sample that are targets, d latent width, o numbers predicted for each.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from crt_vq.regularizers.specs import Causal

FLOOR = 1e-4
"""Least variance of a Gaussian: without it the likelihood of an exactly predicted latent has no bound."""


def output_width(spec: Causal, latent: int) -> int:
    """Numbers to predict for a latent: a point, or a mean and a variance for each channel."""
    return 2 * latent if spec.error == "nll" else latent


def prediction_error(
    spec: Causal, predicted: Float[Tensor, "b m o"], latents: Float[Tensor, "b m d"]
) -> Float[Tensor, "b m"]:
    """The error of each latent by `spec.error` and `spec.reduction`.

    Units: squared units of a latent (its units for `norm`), 1 less the cosine, or nats.
    """
    if spec.error == "cosine":
        return 1 - functional.cosine_similarity(predicted, latents, dim=-1)
    if spec.error == "l2" and spec.reduction == "norm":
        distance: Tensor = torch.linalg.vector_norm(predicted - latents, dim=-1)  # its slope at 0 is 0, a root's is not
        return distance
    channels = gaussian_nll(predicted, latents) if spec.error == "nll" else (predicted - latents).square()
    return channels.sum(-1) if spec.reduction == "sum" else channels.mean(-1)


def gaussian_nll(predicted: Float[Tensor, "b m o"], latents: Float[Tensor, "b m d"]) -> Float[Tensor, "b m d"]:
    """Negative log-likelihood of each channel under a Gaussian; `predicted` has d means, then d raw variances.

    Units: nats.
    """
    mean, raw = predicted.chunk(2, -1)  # b m d
    variance = functional.softplus(raw) + FLOOR
    return ((latents - mean).square() / variance + (2 * math.pi * variance).log()) / 2
