"""The prior of a Gaussian bottleneck: what a code costs that is drawn from a Gaussian of its own.

Axes: b batch, n codes of a sample, d channels of a code, k components, g parts whose costs are told apart.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from crt_vib.gaussian.divergence import divergence
from crt_vib.gaussian.posterior import Posterior, density


class Standard(nn.Module):
    """N(0, I), which learns nothing."""

    def forward(self, posterior: Posterior, codes: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """The exact divergence of each channel, in nats."""
        mean, scale = posterior
        return divergence(mean, scale, torch.zeros_like(mean), torch.ones_like(scale))


class Mixture(nn.Module):
    """Learned Gaussians with learned weights, all near N(0, I) as they start, none like another."""

    def __init__(self, components: int, channels: int) -> None:
        super().__init__()
        self.means = nn.Parameter(torch.randn(components, channels) * (0.1 if components > 1 else 0.0))
        self.log_scales = nn.Parameter(torch.zeros(components, channels))
        self.logits = nn.Parameter(torch.zeros(components))

    def forward(self, posterior: Posterior, codes: Float[Tensor, "b n d"]) -> Float[Tensor, "b n g"]:
        """What codes cost, in nats: exactly and by channel from one component; from several, estimated as a whole.

        The estimate is ln q(z) - ln r(z) at the code: right in the mean over codes, while that of a
        single one can be less than 0.
        """
        if len(self.logits) == 1:
            return divergence(*posterior, self.means[0], self.log_scales[0].exp())
        each = density(codes.unsqueeze(-2), self.means, self.log_scales.exp())  # b n k
        together = (each + functional.log_softmax(self.logits, -1)).logsumexp(-1)  # b n
        return (density(codes, *posterior) - together).unsqueeze(-1)
