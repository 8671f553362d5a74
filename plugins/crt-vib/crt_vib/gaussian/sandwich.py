"""Lower and upper estimates of the mutual information of codes of known density and their inputs.

Axes: k samples, n codes of a sample, d channels of a code.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

TILE = 2**22
"""Most numbers in memory at once."""


@runtime_checkable  # for type checkers in tests, as contracts are
class Density(Protocol):
    """The distribution of each sample's codes."""

    @property
    def numbers(self) -> int:
        """Means in memory."""

    def log_density(self, codes: Float[Tensor, "... d"]) -> Float[Tensor, "..."]:
        """The log density of codes, in nats."""


class Sandwich(NamedTuple):
    """Nats of each sample; in expectation the information lies between the means of both."""

    lower: Float[Tensor, " k"]
    """At most ln k in the mean, so too low if there is more information than that."""
    upper: Float[Tensor, " k"]


def sandwich(codes: Float[Tensor, "k *n d"], posterior: Density) -> Sandwich:
    """Both estimates from independent samples with the codes of each, drawn from its posterior.

    The aggregate distribution of codes is replaced by the mixture of the samples' posteriors, with a sample's own
    among them for `lower` and without it for `upper`.
    Units: nats.
    Raises: ValueError if there are fewer than two samples.
    Source: Poole et al. (2019), arXiv:1905.06922.
    Cost: the density of every code under every Gaussian.
    """
    count = len(codes)
    if count < 2:
        raise ValueError(f"expected at least 2 samples, got {count}")
    rows = max(1, TILE // posterior.numbers)
    tiles = [_tile(codes, posterior, chosen) for chosen in torch.split(torch.arange(count, device=codes.device), rows)]
    return Sandwich(*(torch.cat(parts) for parts in zip(*tiles, strict=True)))


def _tile(codes: Tensor, posterior: Density, chosen: Tensor) -> Sandwich:
    count = len(codes)
    among = posterior.log_density(codes[chosen].unsqueeze(1))  # rows k *n
    among = among.reshape(*among.shape[:2], -1).sum(-1)
    own = among.gather(1, chosen.unsqueeze(1))
    others = among.scatter(1, chosen.unsqueeze(1), -math.inf)
    lower = own.squeeze(1) - among.logsumexp(1) + math.log(count)
    upper = own.squeeze(1) - others.logsumexp(1) + math.log(count - 1)
    return Sandwich(lower, upper)
