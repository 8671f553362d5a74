"""Priors of a Gaussian bottleneck: the rate of codes drawn from a posterior.

Axes: b batch, n codes of a sample, d channels of a code, k components, g parts with separate rates.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from crt_vib.gaussian.divergence import kl_divergence
from crt_vib.gaussian.posterior import Posterior, log_density


class StandardNormal(nn.Module):
    """N(0, I), without parameters."""

    def forward(self, posterior: Posterior, codes: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """The exact divergence of each channel, in nats."""
        mean, scale = posterior
        return kl_divergence(mean, scale, torch.zeros_like(mean), torch.ones_like(scale))


class GaussianMixture(nn.Module):
    """Learned Gaussians with learned weights; they start near N(0, I) with different means."""

    def __init__(self, components: int, channels: int) -> None:
        super().__init__()
        self.means = nn.Parameter(torch.randn(components, channels) * (0.1 if components > 1 else 0.0))
        self.log_scales = nn.Parameter(torch.zeros(components, channels))
        self.logits = nn.Parameter(torch.zeros(components))

    def forward(self, posterior: Posterior, codes: Float[Tensor, "b n d"]) -> Float[Tensor, "b n g"]:
        """The rate of codes in nats: exact for each channel under one component, estimated as a whole under several.

        The estimate is ln q(z) - ln r(z) at the code: unbiased, but less than 0 for some codes.
        """
        if len(self.logits) == 1:
            return kl_divergence(*posterior, self.means[0], self.log_scales[0].exp())
        return (posterior.log_density(codes) - self.log_density(codes)).unsqueeze(-1)

    def log_density(self, codes: Float[Tensor, "b n d"]) -> Float[Tensor, "b n"]:
        """The log density of codes under the mixture, in nats."""
        each = log_density(codes.unsqueeze(-2), self.means, self.log_scales.exp())  # b n k
        result: Tensor = (each + functional.log_softmax(self.logits, -1)).logsumexp(-1)
        return result
