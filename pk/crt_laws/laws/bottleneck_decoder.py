"""What codes reveal of samples: plug-in entropies of ids, and a classifier fitted to noisy codes.

Axes: b samples, r draws of noise, d channels of a sample's codes side by side, t draws that are scored.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_laws.laws.passes import sample_noise
from crtcore.kinds.bottleneck import Bottleneck

LABELS = 8
"""Classes at most."""
DRAWS = 64
"""Draws of a sample's codes: half of them to fit a classifier, half to score it."""
SIGMAS = 6
"""Standard errors by which a mean over draws may fall short: the probability by chance is 1e-9."""
NARROW = 1e-6
"""The least standard deviation of a channel, as a share of that over all samples: for codes without noise."""


def entropy(*rows: Int[Tensor, "b ..."]) -> float:
    """The joint entropy of integers in nats; one row a sample."""
    table = torch.cat([each.reshape(len(each), -1) for each in rows], 1)
    counts = torch.unique(table, dim=0, return_counts=True)[1]
    return float(torch.special.entr(counts / counts.sum()).sum())


def labels(features: Float[Tensor, "b n w"], seed: int) -> Int[Tensor, " b"]:
    """A class for each sample that its features determine: the largest of a few drawn linear functions of them."""
    flat = features.detach().flatten(1)
    generator = torch.Generator().manual_seed(seed)
    return (flat @ torch.randn(flat.shape[1], LABELS, generator=generator, dtype=flat.dtype)).argmax(1)


class Scores(NamedTuple):
    """Nats of noisy codes, by sample and draw."""

    rate: Float[Tensor, "b t"]
    likelihood: Float[Tensor, "b t b"]
    """The logarithm of the probability that the classifier gives each sample."""


def classify(bottleneck: Bottleneck, features: Float[Tensor, "b n w"], seed: int) -> Scores:
    """Scores of a classifier that models the codes of each sample as a Gaussian of independent channels.

    It is scored on other draws than it was fitted on, so that it knows nothing of their noise.
    """
    with torch.no_grad():
        noise = sample_noise(seed, len(features) * DRAWS)
        output = bottleneck(features.repeat_interleave(DRAWS, 0), noise=noise)
    codes = output.codes.reshape(len(features), DRAWS, -1)  # b r d
    fitted, scored = codes.chunk(2, 1)
    narrowest = NARROW * codes.flatten(0, 1).std(0) + 1e-12
    mean, scale = fitted.mean(1), fitted.std(1).maximum(narrowest)  # b d
    gaps = (scored.unsqueeze(2) - mean) / scale  # b t b d
    each = -(gaps.square() / 2 + scale.log()).sum(-1)
    return Scores(output.rate.view(len(features), DRAWS)[:, DRAWS // 2 :], each.log_softmax(-1))


def shortfall(nats: Float[Tensor, "b t"], least: float) -> float:
    """How far the mean of `nats` is below `least`, beyond what chance allows."""
    error = nats.std() / nats.numel() ** 0.5
    return float(least - nats.mean() - SIGMAS * error)
