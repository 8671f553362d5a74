"""What metrics keep of samples that come in batches: moments, or the features of a bounded number of them.

Each of these has the `partial` and `merge` of a metric; `joined` and `merged` are those of several.

Axes: b batch, d features, k samples that are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_run.likelihood import CHUNK
from crtcore.noise import Noise


@runtime_checkable
class Mergeable(Protocol):
    """What can be filled in several places."""

    def partial(self) -> Mapping[str, Tensor]:
        """What has come here."""

    def merge(self, partial: Mapping[str, Tensor]) -> None:
        """Takes what came elsewhere."""


def joined(parts: Mapping[str, Mergeable]) -> dict[str, Tensor]:
    """The partials of several as one, with their names before those of tensors."""
    return {f"{name}.{key}": value for name, each in parts.items() for key, value in each.partial().items()}


def merged(parts: Mapping[str, Mergeable], partial: Mapping[str, Tensor]) -> None:
    """Merges what `joined` made of others with these names."""
    for name, each in parts.items():
        own = f"{name}."
        each.merge({key.removeprefix(own): value for key, value in partial.items() if key.startswith(own)})


class Arrivals:
    """Whether each of `size` samples, numbered from 0, comes once: how many came, and a sum of noise of their numbers.

    So it takes no memory for each sample; other samples have the same sum by chance once in more than 2**32 times.
    """

    def __init__(self, size: int) -> None:
        self._size, self._count, self._sum = size, 0, 0

    def update(self, rows: Int[Tensor, " b"]) -> None:
        """Counts a batch."""
        self._count, self._sum = self._count + len(rows), self._sum + self._of(rows)

    def partial(self) -> dict[str, Int[Tensor, " 2"]]:
        """The count and the sum."""
        return {"come": torch.tensor([self._count, self._sum])}

    def merge(self, partial: Mapping[str, Tensor]) -> None:
        """Counts what came elsewhere."""
        count, total = partial["come"].tolist()
        self._count, self._sum = self._count + count, self._sum + total

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
        self._join(len(rows), mean, (rows - mean).T @ (rows - mean))

    def partial(self) -> dict[str, Tensor]:
        """Count, mean and scatter."""
        return {"count": torch.tensor(self.count), "mean": self.mean, "scatter": self.scatter}

    def merge(self, partial: Mapping[str, Tensor]) -> None:
        """Takes what came elsewhere."""
        self._join(int(partial["count"]), partial["mean"], partial["scatter"])

    def _join(self, count: int, mean: Float[Tensor, " d"], scatter: Float[Tensor, "d d"]) -> None:
        if not count:
            return
        if not self.count:
            self.count, self.mean, self.scatter = count, mean, scatter.clone()
            return
        whole, gap = self.count + count, mean - self.mean
        self.scatter += scatter + torch.outer(gap, gap) * (self.count * count / whole)
        self.mean = self.mean + gap * (count / whole)
        self.count = whole

    @property
    def covariance(self) -> Float[Tensor, "d d"]:
        """The unbiased covariance."""
        return self.scatter / (self.count - 1)


class Kept:
    """The features of chosen samples, by their numbers: the same ones in whatever order samples come."""

    def __init__(self, rows: Int[Tensor, " k"]) -> None:
        self._sorted, self._places = rows.sort()
        self._features: Tensor | None = None
        self._there = torch.zeros(len(rows), dtype=torch.bool)
        self._come = Arrivals(len(rows))

    def update(self, rows: Int[Tensor, " b"], features: Float[Tensor, "b d"]) -> None:
        """Keeps those of the samples `rows` that were chosen."""
        at = torch.searchsorted(self._sorted, rows).clamp(max=len(self._sorted) - 1)
        chosen = self._sorted[at] == rows
        self._put(self._places[at[chosen]], features[chosen])

    def partial(self) -> dict[str, Tensor]:
        """Places and features of those that have come."""
        places = self._there.nonzero().flatten()
        features = torch.zeros(0, 0) if self._features is None else self._features[places]
        return {"places": places, "features": features}

    def merge(self, partial: Mapping[str, Tensor]) -> None:
        """Keeps what came elsewhere."""
        if len(partial["places"]):
            self._put(partial["places"], partial["features"])

    def _put(self, places: Int[Tensor, " b"], features: Float[Tensor, "b d"]) -> None:
        if self._features is None:
            self._features = features.new_zeros(len(self._sorted), features.shape[1])
        self._features[places] = features
        self._there[places] = True
        self._come.update(places)

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
