"""Fréchet distance in whitened principal components of the training data."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from crt_basics.metrics.compared import check_sizes, compared, floors
from crt_basics.metrics.specs import Frechet
from crt_basics.metrics.whitened import Whitened, whitened
from crt_run.statistics import squared_distance
from crt_run.streams import Arrivals, joined, merged, numbered
from crtcore.kinds import Evidence, Measurement, Train


class FrechetDistance:
    """Scores reconstructions and draws against held-out data, next to the floor that real data reach.

    `reconstruction_frechet` and `generation_frechet` are against the same held-out samples, as is `frechet_floor`. The
    estimate is biased by the number of samples, so all have equally many. The floor is the distance of training samples
    from the held-out ones, a reference for `generation_frechet`. It is no floor for reconstructions, which show the
    held-out samples themselves: perfect ones reach 0. Draws have the classes of the held-out samples, which training
    samples do not, so perfect draws end slightly below the floor. Where rounding makes a distance negative, it is 0.
    """

    def __init__(self, spec: Frechet) -> None:
        self.spec = spec
        self.features: Whitened
        self.come = Arrivals(0)
        self.gaussians: dict[str, Gaussian] = {}
        self.floors: list[Gaussian] = []

    def fit(self, train: Train) -> None:
        """Fits the features, and the Gaussians of the floor.

        Raises: ValueError if there are too few samples for the dimensions, or the data has fewer dimensions.
        """
        check_sizes(train, "frechet", self.spec.dimensions + 1)
        self.features, self.come = whitened(train, self.spec.dimensions), Arrivals(train.held_out)
        self.gaussians = {name: Gaussian() for name in ("real", "reconstruction", "generation")}
        drawn = [torch.zeros(train.samples, dtype=torch.bool).index_fill(0, rows, True) for rows in floors(train)]
        self.floors = [Gaussian() for _ in drawn]
        for rows in numbered(train.samples):
            features = self.features(train.data(rows))
            for floor, chosen in zip(self.floors, drawn, strict=True):
                floor.update(features[chosen[rows]])

    def update(self, batch: Evidence) -> None:
        """Raises: ValueError if shapes differ, or some samples are not finite."""
        self.come.update(batch.rows)
        for name, data in compared(batch, "frechet").items():
            self.gaussians[name].update(self.features(data))

    def partial(self) -> Mapping[str, Tensor]:
        """The Gaussians of held-out samples, their reconstructions and draws, and who has come."""
        return joined({**self.gaussians, "come": self.come})

    def merge(self, partial: Mapping[str, Tensor]) -> None:
        """Takes what came elsewhere."""
        merged({**self.gaussians, "come": self.come}, partial)

    def compute(self) -> dict[str, Measurement]:
        """Raises: ValueError if some of the samples have not come, or came twice."""
        self.come.check("frechet: ")
        real = self.gaussians["real"]
        values = {f"{name}_frechet": distance(real, self.gaussians[name]) for name in ("reconstruction", "generation")}
        values["frechet_floor"] = sum(distance(real, floor) for floor in self.floors) / len(self.floors)
        return {name: Measurement(value, "squared whitened units", real.count) for name, value in values.items()}


class Gaussian:
    """Mean of samples that come in batches, and R such that Rᵀ R is the sum of outer products of their deviations.

    R is triangular, from the R of what came before, the deviations of a batch, and the gap of the two means. As no
    covariance is formed, singular ones lose no digits.
    Source: Demmel et al. (2012), arXiv:0808.2664, section 4 (R of rows in blocks); the gap is that of Chan et al.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: Float[Tensor, " d"] = torch.zeros(0, dtype=torch.float64)
        self.root: Float[Tensor, "r d"] = torch.zeros(0, 0, dtype=torch.float64)

    def update(self, batch: Float[Tensor, "b d"]) -> None:
        """Takes a batch, which may be empty."""
        if not len(batch):
            return
        mean = batch.mean(0)
        self._join(len(batch), mean, batch - mean)

    def partial(self) -> dict[str, Tensor]:
        """Count, mean and root."""
        return {"count": torch.tensor(self.count), "mean": self.mean, "root": self.root}

    def merge(self, partial: Mapping[str, Tensor]) -> None:
        """Takes what came elsewhere."""
        if count := int(partial["count"]):
            self._join(count, partial["mean"], partial["root"])

    def _join(self, count: int, mean: Float[Tensor, " d"], root: Float[Tensor, "r d"]) -> None:
        """Takes samples with this mean, and with any root of the sum of outer products of their deviations."""
        if self.count:
            gap, weight = mean - self.mean, count / (self.count + count)
            root = torch.cat((self.root, root, gap[None] * (self.count * weight) ** 0.5))
            mean = self.mean + gap * weight
        self.count, self.mean = self.count + count, mean
        self.root = torch.linalg.qr(root, "r").R


def distance(one: Gaussian, other: Gaussian) -> float:
    """Squared 2-Wasserstein distance of two Gaussians.

    With R the triangular root of a covariance, the trace of the root of the product of two covariances is the nuclear
    norm of R R'ᵀ: no root is taken of a rounded zero. Where rounding makes it negative, it is 0.
    """
    left, right = (each.root / (each.count - 1) ** 0.5 for each in (one, other))
    cross = torch.linalg.matrix_norm(left @ right.T, "nuc")
    terms = (one.mean - other.mean).square().sum() + left.square().sum() + right.square().sum()
    return squared_distance(float(terms - 2 * cross), float(terms))


def frechet_distance(one: Float[Tensor, "b d"], other: Float[Tensor, "c d"]) -> float:
    """The distance of the Gaussians fitted to two collections."""
    fitted = Gaussian(), Gaussian()
    for gaussian, data in zip(fitted, (one, other), strict=True):
        gaussian.update(data)
    return distance(*fitted)
