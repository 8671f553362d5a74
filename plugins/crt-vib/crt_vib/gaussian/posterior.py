"""The posterior of a Gaussian bottleneck: the distribution of a feature's code.

Axes: d channels.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class Posterior(NamedTuple):
    """A Gaussian of independent channels."""

    mean: Float[Tensor, "*many d"]
    scale: Float[Tensor, "*many d"]
    """Standard deviations."""

    @property
    def numbers(self) -> int:
        """Means in memory."""
        return self.mean.numel()

    def log_density(self, codes: Float[Tensor, "... d"]) -> Float[Tensor, "..."]:
        """The log density of codes, in nats."""
        return log_density(codes, self.mean, self.scale)


def log_density(
    codes: Float[Tensor, "*#many d"], mean: Float[Tensor, "*#many d"], scale: Float[Tensor, "*#many d"]
) -> Float[Tensor, "*many"]:
    """The log density of codes under Gaussians, in nats."""
    gap = (codes - mean) / scale
    return -(gap.square() / 2 + scale.log() + math.log(2 * math.pi) / 2).sum(-1)
