"""Two-part code length: the bits that send an image with a tokenizer and a prior."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize_scalar
from torch import Tensor

from crt_basics.metrics.specs import CodeLength
from crt_run.statistics import averaged
from crtcore.kinds import Evidence, Measurement

ROUNDING = 0.01
"""Largest distance of valid data from a level, in levels: more than float32 rounds any of 65,536."""


class TwoPartCode:
    """Bits for the ids under the prior, plus bits for the data under a Gaussian about the reconstruction.

    An upper bound on the bits of a sample for a receiver that has the trained tokenizer and prior, the fitted width
    and the sample's class, if any; these cost nothing. Absent ids cost nothing either, so rows of unequal length need
    a stop id.
    """

    def __call__(self, evidence: Evidence) -> dict[str, Measurement]:
        """Code lengths of the held-out data in bits a sample, with 95 % intervals over samples, and the nominal rate.

        `unigram_entropy_bits` is that of the empirical distribution of ids, times the mean length: biased low.
        Raises: ValueError if the data has no levels or is not on them, or a reconstruction is not finite.
        """
        if evidence.levels is None:
            raise ValueError("code-length: expected data with levels (images), got data without")
        width = fitted_width(evidence.train, evidence.train_reconstructed, evidence.levels)
        rest = residual_bits(evidence.real, evidence.reconstructed, evidence.levels, width)
        ids = evidence.id_nats.double() / math.log(2)
        present = evidence.ids[evidence.ids >= 0]
        unigram = len(present) / len(ids) * unigram_nats(present) / math.log(2)
        nominal = evidence.ids.shape[1] * math.log2(evidence.vocabulary)
        return {
            "two_part_code_length_bits": averaged(ids + rest, "bits"),
            "id_code_length_bits": averaged(ids, "bits"),
            "data_given_ids_bits": averaged(rest, "bits"),
            "nominal_rate_bits": Measurement(nominal, "bits", len(ids)),
            "unigram_entropy_bits": Measurement(unigram, "bits", len(ids)),
        }


def unigram_nats(ids: Int[Tensor, " n"]) -> float:
    """Entropy of the empirical distribution of `ids`, none of them absent, in nats per id: biased low."""
    shares = torch.bincount(ids).double() / len(ids)
    return float(torch.special.entr(shares).sum())


def residual_bits(
    data: Float[Tensor, "b ..."], reconstruction: Float[Tensor, "b ..."], levels: int, width: float
) -> Float[Tensor, " b"]:
    """Bits of each sample under a Gaussian of `width` levels about the reconstruction, with one cell a level.

    The first and the last cell extend to infinity, so that the cells of an element sum to 1.
    Raises: ValueError if the data is not on the levels, or the reconstruction is not finite.
    """
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
        return float(residual_bits(data, reconstruction, levels, math.exp(log_width)).mean())

    return math.exp(minimize_scalar(cost, bounds=(math.log(0.05), math.log(levels)), method="bounded").x)


def code_length(_: CodeLength) -> TwoPartCode:
    """The metric."""
    return TwoPartCode()
