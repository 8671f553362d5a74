"""Kernel distance: the squared maximum mean discrepancy of a polynomial kernel, without bias.

Axes: s subsets, b samples of one, k samples of all, d features.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from crt_basics.metrics.compared import check_sizes, compared, floors
from crt_basics.metrics.specs import KernelDistance
from crt_basics.metrics.whitened import Whitened, whitened
from crt_run.statistics import averaged
from crt_run.streams import Kept, joined, merged, numbered
from crtcore.kinds import Evidence, Measurement, Train
from crtcore.noise import Noise

LARGEST = 1000
"""The most samples of a subset, as in KID; more are left out."""


class PolynomialDiscrepancy:
    """Scores reconstructions and draws against held-out data, next to the floor that real data reach.

    `reconstruction_`, `generation_kernel_distance` and `kernel_distance_floor` are means over subsets. Subsets share no
    sample, so that their estimates are independent and the 95 % intervals are t intervals. The floor compares training
    samples with the held-out ones, as in `frechet`; without bias, it is about 0 where the splits are alike, and the
    numbers may be negative. Perfect reconstructions reach 0.

    It keeps the features of at most 1,000 samples of each subset (10,000 in all, unless `subsets` differs), of as many
    reconstructions and draws, and of ten times as many training samples. Noise chooses them.
    """

    def __init__(self, spec: KernelDistance) -> None:
        self.spec = spec
        self.features: Whitened
        self.kept: dict[str, Kept] = {}
        self.floors: list[Kept] = []

    def fit(self, train: Train) -> None:
        """Fits the features, chooses the samples of the subsets, and keeps those of the floor.

        Raises: ValueError if there are too few samples for the subsets, or the data has fewer dimensions.
        """
        subsets = self.spec.subsets
        check_sizes(train, "kernel-distance", 2 * subsets)
        self.features = whitened(train, self.spec.dimensions)
        order = Noise(0, "subsets of the kernel distance").order(train.held_out)
        size = train.held_out // subsets
        chosen = order[: subsets * size].view(subsets, size)[:, :LARGEST].flatten()
        self.kept = {name: Kept(chosen) for name in ("real", "reconstruction", "generation")}
        self.floors = [Kept(rows[chosen]) for rows in floors(train)]
        for rows in numbered(train.samples):
            features = self.features(train.data(rows))
            for floor in self.floors:
                floor.update(rows, features)

    def update(self, batch: Evidence) -> None:
        """Raises: ValueError if shapes differ, or some samples are not finite."""
        for name, data in compared(batch, "kernel-distance").items():
            self.kept[name].update(batch.rows, self.features(data))

    def partial(self) -> Mapping[str, Tensor]:
        """The features of chosen samples that have come."""
        return joined(self.kept)

    def merge(self, partial: Mapping[str, Tensor]) -> None:
        """Keeps those that came elsewhere."""
        merged(self.kept, partial)

    def compute(self) -> dict[str, Measurement]:
        """Raises: ValueError if some of the samples have not come, or came twice."""
        numbers = {}
        others = {f"{name}_kernel_distance": [self.kept[name]] for name in ("reconstruction", "generation")}
        for name, draws in {**others, "kernel_distance_floor": self.floors}.items():
            estimates = torch.stack([self._estimates(other.features) for other in draws])
            samples = len(self.kept["real"].features)
            numbers[name] = averaged(estimates.mean(0), "kernel units")._replace(n=samples)
        return numbers

    def _estimates(self, other: Float[Tensor, "k d"]) -> Float[Tensor, " s"]:
        """The discrepancy of each subset, one at a time: a kernel of 1,000 samples takes 8 MB."""
        pairs = zip(*(rows.chunk(self.spec.subsets) for rows in (self.kept["real"].features, other)), strict=True)
        return torch.cat([squared_discrepancy(one[None], each[None]) for one, each in pairs])


def kernel(one: Float[Tensor, "s b d"], other: Float[Tensor, "s b d"]) -> Float[Tensor, "s b b"]:
    """The cubic kernel of every pair of rows in a subset.

    Source: Bińkowski et al. (2018), arXiv:1801.01401, section 4.
    """
    return (one @ other.mT / one.shape[-1] + 1) ** 3


def squared_discrepancy(one: Float[Tensor, "s b d"], other: Float[Tensor, "s b d"]) -> Float[Tensor, " s"]:
    """Unbiased estimate of the squared maximum mean discrepancy in each subset of at least two rows.

    Row i of one may depend on row i of the other, as a reconstruction does on its image: such pairs are left out.
    Source: Gretton et al. (2012), A kernel two-sample test, lemma 6, the statistic for equally many samples.
    """
    cross = kernel(one, other)
    terms = kernel(one, one) + kernel(other, other) - cross - cross.mT
    count = one.shape[-2]
    return (terms.sum((-2, -1)) - terms.diagonal(dim1=-2, dim2=-1).sum(-1)) / (count * (count - 1))
