"""The mixture bottleneck: a code is drawn from one of several Gaussians, by weights that depend on the feature.

Axes: b batch, n features of a sample, w feature width, p parts, d channels of a code.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn
from torch.nn import functional

from crt_nn.ranges import check_features
from crt_vib.gaussian.normal import normal
from crt_vib.mixture.draws import chosen, log_densities, placed
from crt_vib.mixture.posterior import MixturePosterior
from crt_vib.mixture.spec import Mixture
from crtcore.kinds import BottleneckOutput
from crtcore.noise import Noise

_SMALL = 0.1
"""Factor of first weights, as in `gaussian`: all features start with nearly the same mixture."""
_SCALE = 0.3
"""First standard deviations: in several channels parts, whose means have unit variance, start far apart."""


class MixtureChannel(nn.Module):
    """Replaces each feature by a code drawn from Gaussians that all features share."""

    def __init__(self, spec: Mixture) -> None:
        super().__init__()
        self.spec = spec
        self.width = spec.width
        self.vocabulary: int | None = None
        last = nn.Linear(spec.hidden or spec.width, spec.parts)
        first = [nn.Linear(spec.width, spec.hidden), nn.ReLU()] if spec.hidden else []
        with torch.no_grad():
            last.weight *= _SMALL
            last.bias.zero_()
        self.head = nn.Sequential(*first, last)
        self.means = nn.Parameter(torch.randn(spec.parts, spec.latent))
        self.log_scales = nn.Parameter(torch.full((spec.parts, spec.latent), math.log(_SCALE)))
        # Of the prior: those of features start near them, so that the rate starts near 0.
        self.logits = nn.Parameter(torch.zeros(spec.parts))

    def posterior(self, features: Float[Tensor, "b n w"]) -> MixturePosterior:
        """The distribution of each feature's code."""
        log_weights = self.head(features).log_softmax(-1)
        shape = (*log_weights.shape, self.spec.latent)
        return MixturePosterior(log_weights, self.means.expand(shape), self.log_scales.exp().expand(shape))

    def forward(self, features: Float[Tensor, "b n w"], *, noise: Noise | None = None) -> BottleneckOutput:
        """A code drawn for each feature; latents are the mixtures' means.

        The rate is the mean over parts, by their weights, of ln q(z) - ln r(z) at the code that each part would have
        given: which part was drawn adds no noise to it or to its gradient.
        Without `noise`, the code is the mean of the likeliest part, without a gradient at the feature, and the codes of
        parts are their means.
        Units: rate in nats, summed over features: with noise unbiased, but less than 0 for some codes. Its mean exceeds
        the mutual information of codes and features by the divergence of the aggregate distribution of codes from the
        prior.
        Raises: ValueError if w is not the width of a feature, or a feature is not finite.
        """
        check_features(features, self.width)
        with torch.autocast(features.device.type, enabled=False):
            log_weights = self.head(features.to(torch.promote_types(features.dtype, self.dtype))).log_softmax(-1)
            scales, places = self.log_scales.exp(), features.shape[1]
            if noise is None:
                normals = self.means.new_zeros(*log_weights.shape[:2], self.spec.latent)
                weights = functional.one_hot(log_weights.argmax(-1), self.spec.parts).to(self.dtype)
            else:
                normals = normal(noise, places, self.spec.latent).to(self.dtype)
                weights = chosen(log_weights, _uniforms(noise, places))
            codes = placed(weights, self.means, scales, normals)
            each = log_densities(self.means, scales, normals)  # b n p p
            own = (each + log_weights.unsqueeze(-2)).logsumexp(-1)  # b n p
            prior = (each + self.logits.log_softmax(-1)).logsumexp(-1)
            shares = log_weights.exp()
            rate = (shares * (own - prior)).sum((1, 2))
            latents = shares @ self.means
        return BottleneckOutput(codes, latents, None, rate, rate.new_zeros(()))

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        return self.means.dtype


def _uniforms(noise: Noise, places: int) -> Float64[Tensor, "b n"]:
    own = Noise(noise.seed[:, None], noise.under("parts").stream)
    return (own.bits(torch.arange(places, device=own.seed.device)).double() + 0.5) / 2**32
