"""Metrics that break one law each: the mean of a sample's elements, and of its nats, with one change."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from crtcore.kinds import Evidence, Measurement, Metric, Train


class Means:
    """A sound metric: sums over the generated samples."""

    def __init__(self) -> None:
        self.fits = 0

    def fit(self, train: Train) -> None:
        """Starts anew."""
        self.fits += 1
        self.count, self.total = 0, 0.0

    def update(self, batch: Evidence) -> None:
        """Takes a batch."""
        self.count += len(batch.generated)
        self.total += float(self.values(batch).sum())

    def values(self, batch: Evidence) -> Tensor:
        """One number for each sample."""
        return batch.generated.double().flatten(1).mean(1)

    def partial(self) -> Mapping[str, Tensor]:
        """The count and the sum."""
        return {"count": torch.tensor(self.count), "total": torch.tensor(self.total, dtype=torch.float64)}

    def merge(self, partial: Mapping[str, Tensor]) -> None:
        """Adds those of another."""
        self.count += int(partial["count"])
        self.total += float(partial["total"])

    def compute(self) -> dict[str, Measurement]:
        """The mean."""
        return {"brightness": Measurement(self.total / self.count, "data units", self.count)}


class MeanOfMeans(Means):
    """Batches count alike, however many samples they have."""

    def update(self, batch: Evidence) -> None:
        """Takes a batch."""
        self.count += 1
        self.total += float(self.values(batch).mean())


class FirstComers(Means):
    """The first twenty samples that come."""

    def update(self, batch: Evidence) -> None:
        """Takes a batch."""
        few = self.values(batch)[: 20 - self.count]
        self.count += len(few)
        self.total += float(few.sum())


class LastOne(Means):
    """A partial takes the place of what came before."""

    def merge(self, partial: Mapping[str, Tensor]) -> None:
        """Takes another's count and sum, if it has any."""
        if int(partial["count"]):
            self.count, self.total = int(partial["count"]), float(partial["total"])


class Counting(Means):
    """Computing takes the mean and goes on from it."""

    def compute(self) -> dict[str, Measurement]:
        """The mean."""
        numbers = super().compute()
        self.count += 1
        return numbers


class Continuing(Means):
    """A second fit changes the numbers."""

    def compute(self) -> dict[str, Measurement]:
        """The mean, and the number of fits."""
        return {name: number._replace(value=number.value + self.fits) for name, number in super().compute().items()}


class Jittery(Means):
    """A number of torch's global generator moves the mean, by less than rounding in other laws."""

    def compute(self) -> dict[str, Measurement]:
        """The mean, moved; the same a second time."""
        return {
            name: number._replace(value=number.value + 1e-12 * (1 + self.jitter))
            for name, number in super().compute().items()
        }

    def fit(self, train: Train) -> None:
        """Starts anew."""
        super().fit(train)
        self.jitter = float(torch.rand(()))


class Writing(Means):
    """Turns reconstructions into errors where they are."""

    def update(self, batch: Evidence) -> None:
        """Takes a batch."""
        super().update(batch)
        batch.reconstructed.sub_(batch.real)


class Hoarding(Means):
    """All values are kept."""

    def fit(self, train: Train) -> None:
        """Starts anew."""
        super().fit(train)
        self.kept: list[Tensor] = []

    def update(self, batch: Evidence) -> None:
        """Takes a batch."""
        super().update(batch)
        self.kept.append(self.values(batch))


class OutOfInterval(Means):
    """A number below its interval."""

    def compute(self) -> dict[str, Measurement]:
        """The mean, with an interval about another value."""
        return {
            name: number._replace(low=number.value + 1, high=number.value + 2)
            for name, number in super().compute().items()
        }


def planted(offender: Callable[[], Metric]) -> Callable[[object], Metric]:
    """Takes the place of a sound metric."""

    def plant(_: object) -> Metric:
        return offender()

    return plant
