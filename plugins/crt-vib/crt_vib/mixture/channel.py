"""The mixture bottleneck: each feature becomes a mixture of Gaussians, and its code is drawn from it.

Axes: b batch, n features of a sample, w feature width, p parts, d channels of a code.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from crt_nn.ranges import check_features
from crt_vib.gaussian.normal import normal
from crt_vib.gaussian.prior import GaussianMixture
from crt_vib.mixture.draws import drawn
from crt_vib.mixture.posterior import MixturePosterior
from crt_vib.mixture.spec import Mixture
from crtcore.kinds import BottleneckOutput
from crtcore.noise import Noise

_LEAST = 1e-3
"""Least standard deviation: the gradient through the choice of a part grows with the distance of parts over it."""
_SMALL = 0.1
"""Factor of first weights, as in `gaussian`: all features start with nearly the same mixture."""


class MixtureChannel(nn.Module):
    """Replaces each feature by a code drawn from a mixture of Gaussians that depends on it."""

    def __init__(self, spec: Mixture) -> None:
        super().__init__()
        self.spec = spec
        self.width = spec.width
        self.vocabulary: int | None = None
        last = nn.Linear(spec.hidden or spec.width, spec.parts * (2 * spec.latent + 1))
        first = [nn.Linear(spec.width, spec.hidden), nn.ReLU()] if spec.hidden else []
        places = torch.randn(spec.parts, spec.latent)  # of unit variance, so that no two parts learn the same
        with torch.no_grad():
            last.weight *= _SMALL
            last.bias.zero_()
            means, raw, _ = self._split(last.bias)
            means.copy_(places)
            raw.fill_(math.log(math.expm1(1)))  # where softplus is 1
        self.head = nn.Sequential(*first, last)
        self.prior = GaussianMixture(spec.components, spec.latent)
        with torch.no_grad():  # near the mixture of parts, so that the rate starts near 0
            self.prior.means.add_(places[torch.arange(spec.components) % spec.parts])

    def posterior(self, features: Float[Tensor, "b n w"]) -> MixturePosterior:
        """The distribution of each feature's code."""
        means, raw, logits = self._split(self.head(features))
        return MixturePosterior(logits.log_softmax(-1), means, functional.softplus(raw) + _LEAST)

    def forward(self, features: Float[Tensor, "b n w"], *, noise: Noise | None = None) -> BottleneckOutput:
        """A code drawn for each feature, with ln q(z) - ln r(z) at the code as rate; latents are the mixtures' means.

        Without `noise`, the code is the mean of the likeliest part.
        Units: rate in nats, summed over features: unbiased, but less than 0 for some codes. Its mean exceeds the mutual
        information of codes and features by the divergence of the aggregate distribution of codes from the prior.
        Raises: ValueError if w is not the width of a feature, or a feature is not finite.
        """
        check_features(features, self.width)
        with torch.autocast(features.device.type, enabled=False):
            posterior = self.posterior(features.to(torch.promote_types(features.dtype, self.dtype)))
            codes = _likeliest(posterior) if noise is None else self._drawn(posterior, noise)
            rate = (posterior.log_density(codes) - self.prior.log_density(codes)).sum(1)
            latents = (posterior.log_weights.exp().unsqueeze(-1) * posterior.means).sum(-2)
        return BottleneckOutput(codes, latents, None, rate, rate.new_zeros(()))

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        return next(self.head.parameters()).dtype

    def _split(self, raw: Float[Tensor, "*many k"]) -> tuple[Tensor, Tensor, Tensor]:
        """Means and raw scales `*many p d`, and logits `*many p`."""
        size = self.spec.parts * self.spec.latent
        means, scales, logits = torch.split(raw, [size, size, self.spec.parts], -1)
        shape = (self.spec.parts, self.spec.latent)
        many = raw.shape[:-1]
        return means.view(*many, *shape), scales.view(*many, *shape), logits

    def _drawn(self, posterior: MixturePosterior, noise: Noise) -> Float[Tensor, "b n d"]:
        places, dtype = posterior.means.shape[1], posterior.means.dtype
        own = Noise(noise.seed[:, None], noise.under("parts").stream)
        words = own.bits(torch.arange(places, device=own.seed.device))  # b n
        normals = normal(noise, places, self.spec.latent).to(dtype)
        return drawn(posterior, ((words.double() + 0.5) / 2**32).to(dtype), normals)


def _likeliest(posterior: MixturePosterior) -> Float[Tensor, "b n d"]:
    part = posterior.log_weights.argmax(-1)  # b n
    chosen = part[..., None, None].expand(*part.shape, 1, posterior.means.shape[-1])
    return posterior.means.gather(-2, chosen).squeeze(-2)
