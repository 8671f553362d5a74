"""The Kullback-Leibler divergence of Gaussians."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def kl_divergence(
    mean: Float[Tensor, "*many"],
    scale: Float[Tensor, "*many"],
    other_mean: Float[Tensor, "*#many"],
    other_scale: Float[Tensor, "*#many"],
) -> Float[Tensor, "*many"]:
    """The divergence of each Gaussian from the other one, in nats; scales are standard deviations.

    Source: ln(s'/s) + (s^2 + (m - m')^2) / (2 s'^2) - 1/2; clamped, as rounding can give less than 0.
    """
    ratio = scale / other_scale
    gap = (mean - other_mean) / other_scale
    return ((ratio.square() + gap.square() - 1) / 2 - ratio.log()).clamp(min=0)
