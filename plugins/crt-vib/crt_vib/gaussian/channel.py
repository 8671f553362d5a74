"""The Gaussian bottleneck: each feature to a Gaussian, and a code drawn from it.

Axes: b batch, n features of a sample, w feature width, d channels of a code, g parts whose costs are told apart.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from crt_vib.gaussian.normal import normal
from crt_vib.gaussian.posterior import Posterior
from crt_vib.gaussian.prior import Mixture, Standard
from crt_vib.gaussian.spec import Gaussian
from crtcore.kinds import BottleneckOutput
from crtcore.noise import Noise

_LEAST = 1e-6
"""The narrowest width: a code of float32 near 1 could not tell less."""
_SMALL = 0.1
"""What first weights are scaled by: features of length 1 a channel then cost some 0.002 nats a channel of a code."""


class GaussianChannel(nn.Module):
    """Sends a noisy code for each feature."""

    seed: Tensor
    steps: Tensor

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
        self.prior = Mixture(spec.components, spec.latent) if spec.components else Standard()
        self.register_buffer("seed", torch.randint(2**62, ()))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def posterior(self, features: Float[Tensor, "b n w"]) -> Posterior:
        """The law of each feature's code.

        Raises: ValueError if w is not the width it takes.
        """
        if features.shape[-1] != self.width:
            raise ValueError(f"expected features of width {self.width}, got {features.shape[-1]}")
        mean, raw = self.head(features).chunk(2, -1)
        return Posterior(mean, functional.softplus(raw) + _LEAST)

    def lookup(self, ids: Int[Tensor, "b n"]) -> Float[Tensor, "b n d"]:
        """Nothing: continuous codes have no ids.

        Raises: ValueError always.
        """
        raise ValueError("expected a bottleneck with ids, got one whose codes are continuous")

    def forward(self, features: Float[Tensor, "b n w"], noise: Noise | None = None) -> BottleneckOutput:
        """A code drawn for each feature, and its divergence from the prior; the mean is what is compared.

        Several calls with other noise are several samples. Without `noise`, codes follow from the seed drawn at the
        start, the sample's row in the batch and, in training, the number of times that codes were propagated back.
        Units: rate in nats, summed over features and channels; the mean over samples is at least the information that
        codes have of features, and more by the divergence of codes as a whole from the prior.
        Raises: ValueError if w is not the width it takes.
        """
        with torch.autocast(features.device.type, enabled=False):
            posterior = self.posterior(features.to(torch.promote_types(features.dtype, self.dtype)))
            mean, scale = posterior
            codes = mean + scale * self._draws(mean, noise)
            rate = self._charged(self.prior(posterior, codes)).sum((1, 2))
        if noise is None and self.training and codes.requires_grad:
            codes.register_hook(self._step)  # type: ignore[no-untyped-call]
        return BottleneckOutput(codes, mean, None, rate, mean.new_zeros(()))

    @property
    def dtype(self) -> torch.dtype:
        """The precision of its weights."""
        return next(self.head.parameters()).dtype

    def _draws(self, like: Float[Tensor, "b n d"], noise: Noise | None) -> Float[Tensor, "b n d"]:
        samples = torch.arange(len(like))
        if noise is None:
            steps = self.steps if self.training else 0
            seeds = Noise(self.seed, "codes").seeds(samples.to(self.seed.device), steps)
        else:
            seeds = noise.seeds(0 if noise.seed.ndim else samples)
        return normal(seeds.to(like.device), *like.shape[1:]).to(like.dtype)

    def _charged(self, nats: Float[Tensor, "b n g"]) -> Float[Tensor, "b n g"]:
        """The same nats, without a gradient where the batch has its free ones."""
        if not self.spec.free_bits:
            return nats
        busy = nats.detach().sum(1).mean(0) > self.spec.free_bits  # g
        return nats.where(busy, nats.detach())

    def _step(self, _: Tensor) -> None:
        self.steps += 1
