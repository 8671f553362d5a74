"""What is kept of one set of images: moments of features, features of a bounded number, and class shares.

Axes: b batch, d features, c classes, s splits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_fidelity.specs import Number
from crt_run.streams import Arrivals, Kept, Mergeable, Moments, joined, merged
from crtcore.noise import Noise

Layers: TypeAlias = Mapping[str, Float[Tensor, "b _"]]
"""Features of images by layer."""

KEPT = 10_000
"""The most images of a set whose features are kept, for kernel distance, precision and recall."""
SPLITS = 10
"""Splits of the Inception score, as in torch-fidelity."""


class Images:
    """A set of `size` images, numbered from 0, that come in batches; `layers` has the layer of each number."""

    def __init__(self, layers: Mapping[Number, str], size: int) -> None:
        self.size = size
        self.layers = layers
        rows = torch.arange(size)
        if size > KEPT:
            rows = Noise(0, "images whose features are kept").order(size)[:KEPT].sort().values
        self.come = Arrivals(size)
        self.moments = Moments()
        self.kept: dict[Number, Kept] = {number: Kept(rows) for number in layers if number in ("kid", "prc")}
        self.score = InceptionScore(size)

    def update(self, rows: Int[Tensor, " b"], features: Layers) -> None:
        """Takes the features of the images `rows`."""
        self.come.update(rows)
        if "fid" in self.layers:
            self.moments.update(features[self.layers["fid"]])
        for number, kept in self.kept.items():
            kept.update(rows, features[self.layers[number]])
        if "isc" in self.layers:
            self.score.update(rows, features[self.layers["isc"]])

    def partial(self) -> Mapping[str, Tensor]:
        """Moments, features that are kept, sums of splits, and who has come."""
        return joined(self._parts)

    def merge(self, partial: Mapping[str, Tensor]) -> None:
        """Takes what came elsewhere."""
        merged(self._parts, partial)

    @property
    def _parts(self) -> dict[str, Mergeable]:
        kept: dict[str, Mergeable] = {f"kept for {number}": each for number, each in self.kept.items()}
        return kept | {"come": self.come, "moments": self.moments, "score": self.score}

    def label(self, number: Number) -> str:
        """How many images a number is of."""
        kept = min(self.size, KEPT)
        return f"{kept:,} of {self.size:,}" if number in self.kept and kept < self.size else f"{self.size:,}"


class InceptionScore:
    """torch-fidelity's score, from the sums of each split: of class probabilities, and of their negative entropies.

    The mean divergence of a split from its mean distribution is the entropy of the mean less the mean entropy.
    Source: Salimans et al. (2016), arXiv:1606.03498, section 4; the splits are those of torch-fidelity's seed.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.counts = torch.zeros(SPLITS, dtype=torch.float64)
        self.shares: Float[Tensor, "s c"] = torch.zeros(SPLITS, 0, dtype=torch.float64)
        self.negative_entropies = torch.zeros(SPLITS, dtype=torch.float64)

    def update(self, rows: Int[Tensor, " b"], logits: Float[Tensor, "b c"]) -> None:
        """Takes the logits of the images `rows`."""
        shuffled = np.random.RandomState(2020).permutation(self.size)  # anew for each batch: kept, it would grow
        bounds = torch.tensor([index * self.size // SPLITS for index in range(1, SPLITS)])
        places = torch.from_numpy(np.argsort(shuffled))[rows]
        split = torch.bucketize(places, bounds, right=True)
        shares = logits.double().softmax(1)
        self._widen(logits.shape[1])
        self.shares.index_add_(0, split, shares)
        self.counts.index_add_(0, split, shares.new_ones(len(rows)))
        self.negative_entropies.index_add_(0, split, (shares * logits.double().log_softmax(1)).sum(1))

    def _widen(self, classes: int) -> None:
        if not self.shares.numel():
            self.shares = self.shares.new_zeros(SPLITS, classes)

    def partial(self) -> dict[str, Tensor]:
        """The sums, and the counts that they are of."""
        return {"counts": self.counts, "shares": self.shares, "negative_entropies": self.negative_entropies}

    def merge(self, partial: Mapping[str, Tensor]) -> None:
        """Adds the sums of others."""
        if partial["shares"].numel():
            self._widen(partial["shares"].shape[1])
            self.shares = self.shares + partial["shares"]
        self.counts = self.counts + partial["counts"]
        self.negative_entropies = self.negative_entropies + partial["negative_entropies"]

    def compute(self) -> float:
        """The mean over splits."""
        mean = self.shares / self.counts[:, None]
        divergence = self.negative_entropies / self.counts + torch.special.entr(mean).sum(1)
        return float(divergence.exp().mean())
