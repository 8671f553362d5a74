"""Misfit: how far latents are from what was said of them.

Axes: b batch, m latents of a sample that are foretold, d latent width, o numbers said of a latent.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from crt_vq.regularizers.specs import Causal

FLOOR = 1e-4
"""Least variance of a Gaussian: a latent that is foretold exactly would be likely without bound."""


def outputs(spec: Causal, latent: int) -> int:
    """Numbers that are said of a latent: a point, or a mean and a variance for each channel."""
    return 2 * latent if spec.error == "nll" else latent


def misfit(spec: Causal, said: Float[Tensor, "b m o"], latents: Float[Tensor, "b m d"]) -> Float[Tensor, "b m"]:
    """The error of each latent, as `spec` takes it.

    Units: squared units of a latent (its units for `norm`), 1 less the cosine, or nats.
    """
    if spec.error == "cosine":
        return 1 - functional.cosine_similarity(said, latents, dim=-1)
    if spec.error == "l2" and spec.reduction == "norm":
        distance: Tensor = torch.linalg.vector_norm(said - latents, dim=-1)  # its slope at 0 is 0, a root's is not
        return distance
    channels = surprise(said, latents) if spec.error == "nll" else (said - latents).square()
    return channels.sum(-1) if spec.reduction == "sum" else channels.mean(-1)


def surprise(said: Float[Tensor, "b m o"], latents: Float[Tensor, "b m d"]) -> Float[Tensor, "b m d"]:
    """Nats of each channel under the Gaussian whose means, then variances, are said."""
    mean, spread = said.chunk(2, -1)  # b m d
    variance = functional.softplus(spread) + FLOOR
    return ((latents - mean).square() / variance + (2 * math.pi * variance).log()) / 2
