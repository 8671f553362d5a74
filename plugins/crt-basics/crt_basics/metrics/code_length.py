"""Two-part code length: the bits that send an image with a tokenizer and a prior.

Axes: b batch, v ids of the vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize_scalar
from torch import Tensor

from crt_basics.metrics.specs import CodeLength
from crt_run.likelihood import CHUNK
from crt_run.statistics import mean_of
from crt_run.streams import Arrivals, Moments, joined, merged, numbered
from crtcore.kinds import Evidence, Measurement, Train
from crtcore.noise import Noise

ROUNDING = 0.01
"""Largest distance of valid data from a level, in levels: more than float32 rounds any of 65,536."""


FITTED = 2**25
"""The most elements of training samples that the width is fitted to: 2**15 images of 32 by 32 in one channel."""
PARTS = ("two_part_code_length_bits", "id_code_length_bits", "data_given_ids_bits")
"""Numbers that are a mean over samples."""


class TwoPartCode:
    """Bits for the ids under the prior, plus bits for the data under a Gaussian about the reconstruction.

    An upper bound on the bits of a sample for a receiver that has the trained tokenizer and prior, the fitted width
    and the sample's class, if any; these cost nothing. Absent ids cost nothing either, so rows of unequal length need
    a stop id. It keeps moments, and counts of ids.
    """

    def __init__(self) -> None:
        self.levels = 0
        self.width = 0.0
        """Of the Gaussian, in levels."""
        self.length = 0
        self.counts: Int[Tensor, " v"] = torch.zeros(0, dtype=torch.int64)
        self.parts = Moments()
        self.come = Arrivals(0)

    def fit(self, train: Train) -> None:
        """Fits the width, to at most 2**25 elements of training samples that noise chooses.

        Raises: ValueError if the data has no levels or is not on them, or a reconstruction is not finite.
        """
        if train.levels is None:
            raise ValueError("code-length: expected data with levels (images), got data without")
        self.levels, self.parts, self.come = train.levels, Moments(), Arrivals(train.held_out)
        self.counts = torch.zeros(train.vocabulary, dtype=torch.int64)
        rows = torch.arange(train.samples)
        most = max(1, FITTED // train.data(rows[:1]).numel())
        if train.samples > most:
            rows = Noise(0, "samples that fit the width").order(train.samples)[:most].sort().values
        self.width = fitted_width(_read(train.data, rows), _read(train.reconstructed, rows), self.levels)

    def rest(self, data: Float[Tensor, "b ..."], reconstruction: Float[Tensor, "b ..."]) -> Float[Tensor, " b"]:
        """The bits of each sample given its ids.

        Raises: ValueError if the data is not on the levels, or a reconstruction is not finite.
        """
        return residual_bits(data, reconstruction, self.levels, self.width)

    def update(self, batch: Evidence) -> None:
        """Raises: ValueError if the data is not on the levels, ids are none, or the rest is not finite."""
        if not len(batch.rows):
            return
        if not batch.id_nats.isfinite().all():
            raise ValueError("code-length: expected finite nats of the ids, got some that are not")
        if batch.ids.numel() and not -1 <= int(batch.ids.min()) <= int(batch.ids.max()) < len(self.counts):
            raise ValueError(
                f"code-length: expected ids below {len(self.counts)}, or -1 where absent, "
                f"got some from {int(batch.ids.min())} to {int(batch.ids.max())}"
            )
        self.come.update(batch.rows)
        ids, rest = batch.id_nats.double() / math.log(2), self.rest(batch.real, batch.reconstructed)
        self.parts.update(torch.stack((ids + rest, ids, rest), 1))
        self.counts += torch.bincount(batch.ids[batch.ids >= 0], minlength=len(self.counts))
        self.length = batch.ids.shape[1]

    def partial(self) -> Mapping[str, Tensor]:
        """Moments of the bits, counts of ids, the length and who has come."""
        own = {"counts": self.counts, "length": torch.tensor(self.length)}
        return own | joined({"parts": self.parts, "come": self.come})

    def merge(self, partial: Mapping[str, Tensor]) -> None:
        """Takes what came elsewhere."""
        merged({"parts": self.parts, "come": self.come}, partial)
        self.counts = self.counts + partial["counts"]
        self.length = max(self.length, int(partial["length"]))

    def compute(self) -> dict[str, Measurement]:
        """Code lengths of the held-out data in bits a sample, with 95 % intervals over samples, and the nominal rate.

        `unigram_entropy_bits` is that of the empirical distribution of ids, times the mean length: biased low.
        Raises: ValueError if some of the samples have not come, or came twice.
        """
        self.come.check("code-length: ")
        count = self.parts.count
        deviations = (self.parts.scatter.diagonal() / max(count - 1, 1)).sqrt()
        unigram = int(self.counts.sum()) / count * entropy_nats(self.counts) / math.log(2)
        nominal = self.length * math.log2(len(self.counts))
        return {
            **{
                name: mean_of(mean, deviation, count, "bits")
                for name, mean, deviation in zip(PARTS, self.parts.mean.tolist(), deviations.tolist(), strict=True)
            },
            "nominal_rate_bits": Measurement(nominal, "bits", count),
            "unigram_entropy_bits": Measurement(unigram, "bits", count),
        }


def _read(read: Callable[[Int[Tensor, " b"]], Tensor], rows: Int[Tensor, " b"]) -> Tensor:
    """The samples `rows`, read a few at a time into one place: joining parts would take twice the memory."""
    first = read(rows[:1])
    whole = first.new_empty(len(rows), *first.shape[1:])
    for chosen in numbered(len(rows)):
        whole[chosen] = read(rows[chosen])
    return whole


def entropy_nats(counts: Int[Tensor, " v"]) -> float:
    """Entropy of the empirical distribution with these counts, in nats: biased low; 0 if all are 0."""
    shares = counts.double() / counts.sum().clamp(min=1)
    return float(torch.special.entr(shares).sum())


def residual_bits(
    data: Float[Tensor, "b ..."], reconstruction: Float[Tensor, "b ..."], levels: int, width: float
) -> Float[Tensor, " b"]:
    """Bits of each sample under a Gaussian of `width` levels about the reconstruction, with one cell a level.

    The first and the last cell extend to infinity, so that the cells of an element sum to 1.
    Raises: ValueError if the data is not on the levels, or the reconstruction has another shape or is not finite.
    """
    if reconstruction.shape != data.shape:
        expected, got = tuple(data.shape), tuple(reconstruction.shape)
        raise ValueError(f"code-length: expected reconstructions of shape {expected}, as the data has, got {got}")
    scale = (levels - 1) / 2
    exact = (data.double() + 1) * scale
    level = exact.round()
    if not ((exact - level).abs() <= ROUNDING).all() or level.min() < 0 or level.max() > levels - 1:
        raise ValueError(f"code-length: expected data on {levels} levels from -1 to 1, got data between them or beyond")
    if not reconstruction.isfinite().all():
        raise ValueError("code-length: expected finite reconstructions, got some that are not")
    offset = level - (reconstruction.double() + 1) * scale
    high = torch.where(level == levels - 1, math.inf, offset + 0.5) / width
    low = torch.where(level == 0, -math.inf, offset - 0.5) / width
    # Above the mean, the mass of a cell is a difference of numbers near 1: mirror it to the lower tail.
    mirrored = low > 0
    high, low = torch.where(mirrored, -low, high), torch.where(mirrored, -high, low)
    above, below = torch.special.log_ndtr(high), torch.special.log_ndtr(low)
    nats = -(above + torch.log(-torch.expm1(below - above)))
    bits: Tensor = nats.flatten(1).sum(1) / math.log(2)
    return bits


def fitted_width(data: Float[Tensor, "b ..."], reconstruction: Float[Tensor, "b ..."], levels: int) -> float:
    """The width, in levels, that minimises the bits of `data`.

    The mass of a cell is log-concave in 1 / width (Prékopa), so that there is one minimum; the search goes from a
    twentieth of a level to all levels.
    """

    def cost(log_width: float) -> float:
        pairs = zip(torch.split(data, CHUNK), torch.split(reconstruction, CHUNK), strict=True)
        return float(torch.cat([residual_bits(*pair, levels, math.exp(log_width)) for pair in pairs]).mean())

    return math.exp(minimize_scalar(cost, bounds=(math.log(0.05), math.log(levels)), method="bounded").x)


def code_length(_: CodeLength) -> TwoPartCode:
    """The metric."""
    return TwoPartCode()
