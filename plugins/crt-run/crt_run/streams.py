"""What metrics keep of samples that come in batches: moments, or the features of a bounded number of them.

Axes: b batch, d features, k samples that are kept.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_run.likelihood import CHUNK
from crtcore.noise import Noise


class Arrivals:
    """Whether each of `size` samples, numbered from 0, comes once: how many came, and a sum of noise of their numbers.

    So it takes no memory for each sample; other samples have the same sum by chance once in more than 2**32 times.
    """

    def __init__(self, size: int) -> None:
        self._size, self._count, self._sum = size, 0, 0

    def update(self, rows: Int[Tensor, " b"]) -> None:
        """Counts a batch."""
        self._count, self._sum = self._count + len(rows), self._sum + self._of(rows)

    def check(self, what: str = "") -> None:
        """Raises: ValueError if some have not come, or came twice; `what` begins the message."""
        whole = sum(map(self._of, numbered(self._size)))
        if self._count != self._size or self._sum != whole:
            twice = ", some of them twice" if self._count == self._size else ""
            raise ValueError(f"{what}expected every sample once, got {self._count} of {self._size}{twice}")

    def _of(self, rows: Int[Tensor, " b"]) -> int:
        return int(Noise(0, "arrivals of samples").bits(rows).sum())


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
        """Takes a batch, which may be empty."""
        if not len(batch):
            return
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
        self._come = Arrivals(len(rows))

    def update(self, rows: Int[Tensor, " b"], features: Float[Tensor, "b d"]) -> None:
        """Keeps those of the samples `rows` that were chosen."""
        at = torch.searchsorted(self._sorted, rows).clamp(max=len(self._sorted) - 1)
        chosen = self._sorted[at] == rows
        if self._features is None:
            self._features = features.new_zeros(len(self._sorted), features.shape[1])
        self._features[self._places[at[chosen]]] = features[chosen]
        self._come.update(self._places[at[chosen]])

    @property
    def features(self) -> Float[Tensor, "k d"]:
        """The features of all chosen samples, in the order in which they were chosen.

        Raises: ValueError if some of the samples have not come, or came twice.
        """
        self._come.check()
        return self._features if self._features is not None else torch.zeros(0, 0)


def numbered(samples: int) -> Iterator[Int[Tensor, " b"]]:
    """The numbers of all samples, a batch at a time."""
    yield from torch.split(torch.arange(samples), CHUNK)
