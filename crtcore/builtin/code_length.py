"""Two-part code length: what it takes to send an image with a tokenizer and a prior."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from scipy.optimize import minimize_scalar
from scipy.stats import t as student
from torch import Tensor

from crtcore.kinds import Evidence, Measurement


class TwoPartCode:
    """Bits for the ids under the prior, plus bits for the data under a Gaussian about the reconstruction."""

    def __call__(self, evidence: Evidence) -> dict[str, Measurement]:
        """Code lengths of the held-out data in bits a sample, with 95 % intervals over samples, and the nominal rate.

        Raises: ValueError if the data has no levels.
        """
        if evidence.levels is None:
            raise ValueError("code-length: expected data with levels (images), got data without")
        width = fitted_width(evidence.train, evidence.train_reconstructed, evidence.levels)
        rest = residual_bits(evidence.real, evidence.reconstructed, evidence.levels, width)
        ids = evidence.id_nats.double() / math.log(2)
        length = evidence.ids.shape[1]
        counts = torch.bincount(evidence.ids.flatten(), minlength=evidence.vocabulary).double()
        frequent = counts[counts > 0] / counts.sum()
        return {
            "two_part_code_length_bits": _mean(ids + rest),
            "id_code_length_bits": _mean(ids),
            "nominal_rate_bits": Measurement(length * math.log2(evidence.vocabulary), "bits", len(ids)),
            "unigram_entropy_bits": Measurement(
                -length * float((frequent * frequent.log2()).sum()), "bits", len(ids)
            ),
        }  # fmt: skip


def _mean(bits: Float[Tensor, " b"]) -> Measurement:
    half = float(student.ppf(0.975, len(bits) - 1) * bits.std() / math.sqrt(len(bits)))
    mean = float(bits.mean())
    return Measurement(mean, "bits", len(bits), mean - half, mean + half)


def residual_bits(
    data: Float[Tensor, "b ..."], reconstruction: Float[Tensor, "b ..."], levels: int, width: float
) -> Float[Tensor, " b"]:
    """Bits of each sample under a Gaussian of `width` levels about the reconstruction, cut into one cell a level.

    The first and the last cell reach to infinity, so that the cells of an element sum to 1.
    """
    scale = (levels - 1) / 2
    level = ((data.double() + 1) * scale).round()
    offset = level - (reconstruction.double() + 1) * scale
    high = torch.where(level == levels - 1, math.inf, offset + 0.5) / width
    low = torch.where(level == 0, -math.inf, offset - 0.5) / width
    # The mass of a cell far from the mean is a difference of numbers near 1: mirror it to the other tail.
    mirrored = low > 0
    high, low = torch.where(mirrored, -low, high), torch.where(mirrored, -high, low)
    above, below = torch.special.log_ndtr(high), torch.special.log_ndtr(low)
    nats = -(above + torch.log1p(-torch.exp(below - above)))
    bits: Tensor = nats.flatten(1).sum(1) / math.log(2)
    return bits


def fitted_width(data: Float[Tensor, "b ..."], reconstruction: Float[Tensor, "b ..."], levels: int) -> float:
    """The width, in levels, under which `data` takes the fewest bits."""

    def cost(log_width: float) -> float:
        return float(residual_bits(data, reconstruction, levels, math.exp(log_width)).mean())

    return math.exp(minimize_scalar(cost, bounds=(math.log(0.05), math.log(levels)), method="bounded").x)
