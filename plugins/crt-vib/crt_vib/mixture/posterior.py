"""The posterior of a mixture bottleneck: several Gaussians with weights.

Axes: p parts, d channels.
"""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from crt_vib.gaussian.posterior import log_density


class MixturePosterior(NamedTuple):
    """A mixture of Gaussians of independent channels."""

    log_weights: Float[Tensor, "*many p"]
    """Logarithms of probabilities that sum to 1."""
    means: Float[Tensor, "*many p d"]
    scales: Float[Tensor, "*many p d"]
    """Standard deviations."""

    @property
    def numbers(self) -> int:
        """Means that a density reads."""
        return self.means.numel()

    def log_density(self, codes: Float[Tensor, "... d"]) -> Float[Tensor, "..."]:
        """The log density of codes, in nats."""
        each = log_density(codes.unsqueeze(-2), self.means, self.scales)  # *many p
        result: Tensor = (self.log_weights + each).logsumexp(-1)
        return result
