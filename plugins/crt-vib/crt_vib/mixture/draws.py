"""Draws from a mixture of Gaussians, with gradients at all of its parameters.

Axes: p parts, d channels.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from crt_vib.mixture.posterior import MixturePosterior


def drawn(
    mixture: MixturePosterior, uniforms: Float[Tensor, "*many"], normals: Float[Tensor, "*many d"]
) -> Float[Tensor, "*many d"]:
    """A code of each mixture: `uniforms` in [0, 1) choose the part, standard `normals` the place in it.

    The gradient is that of the inverse of the distribution function, channel by channel: it is unbiased for every
    smooth function of the code, weights of parts included.
    Source: Figurnov, Mohamed and Mnih (2018), arXiv:1805.08498, eq. 6 and section 4; Graves (2016), arXiv:1607.05690.
    Cost: d steps, one after another, of p densities for each code.
    """
    with torch.no_grad():
        ends = mixture.log_weights.exp().cumsum(-1)  # *many p
        part = (uniforms.unsqueeze(-1) >= ends[..., :-1]).sum(-1)  # *many
        chosen = part[..., None, None].expand(*part.shape, 1, normals.shape[-1])
        mean, scale = (each.gather(-2, chosen).squeeze(-2) for each in mixture[1:])
        codes = mean + scale * normals
    return _with_gradients(mixture, codes) if torch.is_grad_enabled() else codes


def _with_gradients(mixture: MixturePosterior, codes: Float[Tensor, "*many d"]) -> Float[Tensor, "*many d"]:
    """The same codes, as functions of the mixture's parameters."""
    channels: list[Tensor] = []
    log_weights, means, scales = mixture
    for code, mean, scale in zip(codes.unbind(-1), means.unbind(-1), scales.unbind(-1), strict=True):
        weights = log_weights.softmax(-1)  # of parts, given the channels before
        fixed = code.unsqueeze(-1)
        below = (weights * torch.special.ndtr((fixed - mean) / scale)).sum(-1)  # *many
        density = (weights * _log_normal(fixed, mean, scale).exp()).sum(-1).detach()
        channels.append(code - (below - below.detach()) / density)
        log_weights = log_weights + _log_normal(channels[-1].unsqueeze(-1), mean, scale)
    return torch.stack(channels, -1)


def _log_normal(code: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    return -((code - mean) / scale).square() / 2 - scale.log() - math.log(2 * math.pi) / 2
