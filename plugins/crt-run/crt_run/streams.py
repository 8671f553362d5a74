"""What metrics keep of samples that come in batches: moments, or the features of a bounded number of them.

Axes: b batch, d features, k samples that are kept.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_run.likelihood import CHUNK


class Moments:
    """Count, mean and scatter (the sum of outer products of deviations), in float64.

    Source: Chan, Golub and LeVeque (1979), Updating formulae and a pairwise algorithm for computing sample variances,
    eq. 2.1; no sum of squares is subtracted from another.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: Float[Tensor, " d"] = torch.zeros(0, dtype=torch.float64)
        self.scatter: Float[Tensor, "d d"] = torch.zeros(0, 0, dtype=torch.float64)

    def update(self, batch: Float[Tensor, "b d"]) -> None:
        """Takes a batch."""
        rows = batch.double()
        mean = rows.mean(0)
        scatter = (rows - mean).T @ (rows - mean)
        if not self.count:
            self.count, self.mean, self.scatter = len(rows), mean, scatter
            return
        count, gap = self.count + len(rows), mean - self.mean
        self.scatter += scatter + torch.outer(gap, gap) * (self.count * len(rows) / count)
        self.mean = self.mean + gap * (len(rows) / count)
        self.count = count

    @property
    def covariance(self) -> Float[Tensor, "d d"]:
        """The unbiased covariance."""
        return self.scatter / (self.count - 1)


class Kept:
    """The features of chosen samples, by their numbers: the same ones in whatever order samples come."""

    def __init__(self, rows: Int[Tensor, " k"]) -> None:
        self._sorted, self._places = rows.sort()
        self._features: Tensor | None = None
        self._missing = len(rows)

    def update(self, rows: Int[Tensor, " b"], features: Float[Tensor, "b d"]) -> None:
        """Keeps those of the samples `rows` that were chosen."""
        at = torch.searchsorted(self._sorted, rows).clamp(max=len(self._sorted) - 1)
        chosen = self._sorted[at] == rows
        if self._features is None:
            self._features = features.new_zeros(len(self._sorted), features.shape[1])
        self._features[self._places[at[chosen]]] = features[chosen]
        self._missing -= int(chosen.sum())

    @property
    def features(self) -> Float[Tensor, "k d"]:
        """The features of all chosen samples, in the order in which they were chosen.

        Raises: ValueError if some of the samples have not come, or came twice.
        """
        if self._missing or self._features is None:
            raise ValueError(f"expected every sample once, got {self._missing} too few of {len(self._sorted)}")
        return self._features


def numbered(samples: int) -> Iterator[Int[Tensor, " b"]]:
    """The numbers of all samples, a batch at a time."""
    yield from torch.split(torch.arange(samples), CHUNK)
