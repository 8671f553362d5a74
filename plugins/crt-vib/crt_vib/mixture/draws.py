"""Draws from a mixture of Gaussians, with gradients at all of its parameters.

Axes: p parts, d channels.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn import functional


def chosen(log_weights: Float[Tensor, "*many p"], uniforms: Float64[Tensor, "*many"]) -> Float[Tensor, "*many p"]:
    """A one-hot row for each mixture: the part that a number in [0, 1) chooses.

    Its gradient is the straight-through estimate: the loss at another part is taken to be what the gradient at the code
    of the drawn part promises, which is exact for linear functions of the code, and for convex ones less than what the
    other part would cost. An unbiased gradient, that of the inverse of the distribution function, was tried first
    (docs/decisions/0043-parts-are-shared.md).
    Source: Bengio, Leonard and Courville (2013), arXiv:1308.3432.
    """
    soft = log_weights.exp()
    with torch.no_grad():
        part = (uniforms.unsqueeze(-1) >= soft.cumsum(-1)[..., :-1]).sum(-1)  # *many
        hard = functional.one_hot(part, soft.shape[-1]).to(soft.dtype)
    return soft - soft.detach() + hard


def placed(
    weights: Float[Tensor, "*many p"],
    means: Float[Tensor, "*#many p d"],
    scales: Float[Tensor, "*#many p d"],
    normals: Float[Tensor, "*many d"],
) -> Float[Tensor, "*many d"]:
    """The code of each one-hot row: the part's mean, and its standard deviation times the normal numbers.

    The gradient at means and scales has no bias.
    """
    mean, scale = ((weights.unsqueeze(-2) @ each).squeeze(-2) for each in (means, scales))
    return mean + scale * normals


def log_densities(
    means: Float[Tensor, "p d"], scales: Float[Tensor, "p d"], normals: Float[Tensor, "*many d"]
) -> Float[Tensor, "*many p p"]:
    """The log density, in nats, of the code that each part would have given (first p) under each part (second p).

    Cost: 2 d p^2 multiplications a row, as squares of differences are expanded in the normal numbers.
    """
    ratios = scales.unsqueeze(1) / scales  # p p d
    apart = (means.unsqueeze(1) - means) / scales  # p p d
    crossed, squared = ((2 * apart * ratios).flatten(0, 1).T, ratios.square().flatten(0, 1).T)  # d (p p)
    shape = (*normals.shape[:-1], len(means), len(means))
    gaps = (normals @ crossed + normals.square() @ squared).view(shape) + apart.square().sum(-1)
    return -(gaps / 2 + (scales.log() + math.log(2 * math.pi) / 2).sum(-1))
