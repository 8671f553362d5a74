"""Kernel distance: the squared maximum mean discrepancy of a polynomial kernel, without bias.

Axes: s subsets, b samples of one, d features.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from crt_basics.metrics.compared import compared
from crt_basics.metrics.specs import KernelDistance
from crt_run.statistics import averaged
from crtcore.kinds import Evidence, Measurement
from crtcore.noise import Noise


class PolynomialDiscrepancy:
    """Scores reconstructions and draws against held-out data, next to the floor that real data reach."""

    def __init__(self, spec: KernelDistance) -> None:
        self.spec = spec

    def __call__(self, evidence: Evidence) -> dict[str, Measurement]:
        """`reconstruction_`, `generation_kernel_distance` and `kernel_distance_floor`, each a mean over subsets.

        Subsets share no sample, so that their estimates are independent and the 95 % intervals are t intervals. The
        floor compares training samples with the held-out ones, as in `frechet`; without bias, it is about 0 where the
        splits are alike, and the numbers may be negative. Perfect reconstructions reach 0.
        Raises: ValueError if there are too few samples for the subsets, their numbers differ, or some are not finite.
        """
        subsets = self.spec.subsets
        real, reconstructed, drawn, floors = compared(
            evidence, "kernel-distance", dimensions=self.spec.dimensions, least=2 * subsets
        )
        order = Noise(0, "subsets of the kernel distance").order(len(real))
        chosen = order[: len(order) // subsets * subsets].view(subsets, -1)
        others = {
            "reconstruction_kernel_distance": (reconstructed,),
            "generation_kernel_distance": (drawn,),
            "kernel_distance_floor": floors,
        }
        numbers = {}
        for name, draws in others.items():
            estimates = [squared_discrepancy(real[chosen], other[chosen]) for other in draws]
            numbers[name] = averaged(torch.stack(estimates).mean(0), "kernel units")._replace(n=chosen.numel())
        return numbers


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
