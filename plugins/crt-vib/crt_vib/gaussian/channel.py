"""The Gaussian bottleneck: each feature becomes a Gaussian, and its code is drawn from it.

Axes: b batch, n features of a sample, w feature width, d channels of a code, g parts with separate rates.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from crt_nn.ranges import check_features
from crt_nn.ranks import batch_mean
from crt_vib.gaussian.normal import normal
from crt_vib.gaussian.posterior import Posterior
from crt_vib.gaussian.prior import GaussianMixture, StandardNormal
from crt_vib.gaussian.spec import Gaussian
from crtcore.kinds import BottleneckOutput
from crtcore.noise import Noise

_LEAST = 1e-6
"""Least standard deviation: float32 near 1 does not resolve less."""
_SMALL = 0.1
"""Factor of first weights: features of unit variance then cost about 0.002 nats for each channel of a code."""


class GaussianChannel(nn.Module):
    """Replaces each feature by a code drawn from a Gaussian that depends on it."""

    def __init__(self, spec: Gaussian) -> None:
        super().__init__()
        self.spec = spec
        self.width = spec.width
        self.vocabulary: int | None = None
        last = nn.Linear(spec.hidden or spec.width, 2 * spec.latent)
        with torch.no_grad():
            last.weight *= _SMALL
            last.bias.zero_()
            last.bias[spec.latent :] = math.log(math.expm1(1))  # where softplus is 1
        first = [nn.Linear(spec.width, spec.hidden), nn.ReLU()] if spec.hidden else []
        self.head = nn.Sequential(*first, last)
        self.prior = GaussianMixture(spec.components, spec.latent) if spec.components else StandardNormal()

    def posterior(self, features: Float[Tensor, "b n w"]) -> Posterior:
        """The distribution of each feature's code."""
        mean, raw = self.head(features).chunk(2, -1)
        return Posterior(mean, functional.softplus(raw) + _LEAST)

    def forward(self, features: Float[Tensor, "b n w"], *, noise: Noise | None = None) -> BottleneckOutput:
        """A code drawn for each feature, with its divergence from the prior as rate; latents are the means.

        Without `noise`, the code is the mean, and a mixture's rate is estimated there.
        Units: rate in nats, summed over features and channels. Its mean exceeds the mutual information of codes and
        features by the divergence of the aggregate distribution of codes from the prior.
        Raises: ValueError if w is not the width of a feature, or a feature is not finite.
        """
        check_features(features, self.width)
        with torch.autocast(features.device.type, enabled=False):
            posterior = self.posterior(features.to(torch.promote_types(features.dtype, self.dtype)))
            mean, scale = posterior
            codes = mean if noise is None else mean + scale * _normal_numbers(mean, noise)
            rate = self._with_free_bits(self.prior(posterior, codes)).sum((1, 2))
        return BottleneckOutput(codes, mean, None, rate, mean.new_zeros(()))

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        return next(self.head.parameters()).dtype

    def _with_free_bits(self, nats: Float[Tensor, "b n g"]) -> Float[Tensor, "b n g"]:
        """The same nats, without a gradient for parts whose mean is within the free bits."""
        if not self.spec.free_bits:
            return nats
        charged = batch_mean(nats.detach().sum(1)) > self.spec.free_bits  # g
        return nats.where(charged, nats.detach())


def _normal_numbers(like: Float[Tensor, "b n d"], noise: Noise) -> Float[Tensor, "b n d"]:
    return normal(noise, *like.shape[1:]).to(like.dtype)
