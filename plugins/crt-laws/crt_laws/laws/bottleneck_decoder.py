"""What can be told from codes: plug-in entropies of ids, and a decoder fitted to noisy codes.

Axes: b samples, r draws of noise, d channels of a sample's codes side by side, t draws that are tried.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crtcore.kinds.bottleneck import Bottleneck
from crtcore.noise import Noise

LABELS = 8
"""Classes at most."""
DRAWS = 64
"""Draws of a sample's codes: half of them to fit a decoder, half to try it."""
SIGMAS = 6
"""Standard errors that a mean over draws may fall short: by chance with a probability of 1e-9."""
NARROW = 1e-6
"""The least standard deviation of a channel, as a share of that over all samples: for codes without noise."""


def entropy(*rows: Int[Tensor, "b ..."]) -> float:
    """Nats of integers as they were met together, one row a sample."""
    table = torch.cat([each.reshape(len(each), -1) for each in rows], 1)
    counts = torch.unique(table, dim=0, return_counts=True)[1]
    return float(torch.special.entr(counts / counts.sum()).sum())


def labels(features: Float[Tensor, "b n w"], seed: int) -> Int[Tensor, " b"]:
    """A class for each sample that its features determine: the largest of a few drawn linear functions of them."""
    flat = features.detach().flatten(1)
    generator = torch.Generator().manual_seed(seed)
    return (flat @ torch.randn(flat.shape[1], LABELS, generator=generator, dtype=flat.dtype)).argmax(1)


class Told(NamedTuple):
    """Nats of noisy codes, by sample and draw."""

    rate: Float[Tensor, "b t"]
    likelihood: Float[Tensor, "b t b"]
    """The logarithm of the probability that the decoder gives each sample."""


def told(bottleneck: Bottleneck, features: Float[Tensor, "b n w"], seed: int) -> Told:
    """What a decoder tells of noisy codes, which took each sample for a Gaussian of independent channels.

    It was fitted on other draws than it is tried on, so that it knows nothing of their noise.
    """
    with torch.no_grad():
        squeezed = bottleneck(features.repeat_interleave(DRAWS, 0), Noise(seed, "draws of codes"))
    codes = squeezed.codes.reshape(len(features), DRAWS, -1)  # b r d
    fitted, tried = codes.chunk(2, 1)
    narrowest = NARROW * codes.flatten(0, 1).std(0) + 1e-12
    mean, scale = fitted.mean(1), fitted.std(1).maximum(narrowest)  # b d
    gaps = (tried.unsqueeze(2) - mean) / scale  # b t b d
    each = -(gaps.square() / 2 + scale.log()).sum(-1)
    return Told(squeezed.rate.view(len(features), DRAWS)[:, DRAWS // 2 :], each.log_softmax(-1))


def shortfall(nats: Float[Tensor, "b t"], least: float) -> float:
    """By how much more than chance allows the mean of `nats` is less than `least`."""
    error = nats.std() / nats.numel() ** 0.5
    return float(least - nats.mean() - SIGMAS * error)
