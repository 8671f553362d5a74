"""The mixture bottleneck: a code is drawn from one of several Gaussians, by weights that depend on the feature.

Axes: b batch, n features of a sample, w feature width, p parts, d channels of a code.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crt_nn.ranges import check_features
from crt_vib.gaussian.normal import normal
from crt_vib.mixture.draws import Drawn, drawn
from crt_vib.mixture.posterior import MixturePosterior
from crt_vib.mixture.spec import Mixture
from crtcore.kinds import BottleneckOutput
from crtcore.noise import Noise

_SMALL = 0.1
"""Factor of first weights, as in `gaussian`: all features start with nearly the same mixture."""
_SCALE = 0.3
"""First standard deviations: parts, whose means have unit variance, start far apart, so that codes name them."""


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
        self.logits = nn.Parameter(
            torch.zeros(spec.parts)
        )  # of the prior; with those of features, the rate starts near 0

    def posterior(self, features: Float[Tensor, "b n w"]) -> MixturePosterior:
        """The distribution of each feature's code."""
        return self._mixture(self.head(features))

    def forward(self, features: Float[Tensor, "b n w"], *, noise: Noise | None = None) -> BottleneckOutput:
        """A code drawn for each feature; latents are the mixtures' means.

        The rate is the mean over parts, by their weights, of ln q(z) - ln r(z) at the code that each part would have
        given: which part was drawn adds no noise to it or to its gradient.
        Without `noise`, the code is the mean of the likeliest part, and those of parts are their means.
        Units: rate in nats, summed over features: unbiased, but less than 0 for some codes. Its mean exceeds the mutual
        information of codes and features by the divergence of the aggregate distribution of codes from the prior.
        Raises: ValueError if w is not the width of a feature, or a feature is not finite.
        """
        check_features(features, self.width)
        with torch.autocast(features.device.type, enabled=False):
            posterior = self.posterior(features.to(torch.promote_types(features.dtype, self.dtype)))
            codes, each = _likeliest(posterior) if noise is None else self._drawn(posterior, noise)
            weights, prior = posterior.log_weights.exp(), self._mixture(self.logits)
            rate = (weights * (posterior.of_each().log_density(each) - prior.log_density(each))).sum((1, 2))
            latents = weights @ self.means
        return BottleneckOutput(codes, latents, None, rate, rate.new_zeros(()))

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        return self.means.dtype

    def _mixture(self, logits: Float[Tensor, "*many p"]) -> MixturePosterior:
        shape = (*logits.shape, self.spec.latent)
        return MixturePosterior(logits.log_softmax(-1), self.means.expand(shape), self.log_scales.exp().expand(shape))

    def _drawn(self, posterior: MixturePosterior, noise: Noise) -> Drawn:
        places, dtype = posterior.means.shape[1], posterior.means.dtype
        own = Noise(noise.seed[:, None], noise.under("parts").stream)
        words = own.bits(torch.arange(places, device=own.seed.device))  # b n
        normals = normal(noise, places, self.spec.latent).to(dtype)
        return drawn(posterior, ((words.double() + 0.5) / 2**32).to(dtype), normals)


def _likeliest(posterior: MixturePosterior) -> Drawn:
    part = posterior.log_weights.argmax(-1)  # b n
    chosen = part[..., None, None].expand(*part.shape, 1, posterior.means.shape[-1])
    return Drawn(posterior.means.gather(-2, chosen).squeeze(-2), posterior.means)
