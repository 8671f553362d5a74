"""Specs of the metrics, free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import attrs

from crt_basics.meanings import CODE_LENGTH, FRECHET, KERNEL_DISTANCE
from crtcore.kinds import Meaning, MetricSpec
from crtcore.spec import at_least


@attrs.frozen(kw_only=True)
class Frechet(MetricSpec):
    """Fréchet distance of Gaussians fitted to whitened principal components, with the real-against-real floor.

    The components come from the training data, so they are the same for every arm. Not an Inception FID.
    Source: Dowson and Landau (1982); Heusel et al. (2017), arXiv:1706.08500, eq. 6.
    """

    implementation: ClassVar[str] = "crt_basics.metrics.frechet:FrechetDistance"
    meanings: ClassVar[Mapping[str, Meaning]] = FRECHET

    dimensions: int = attrs.field(default=24, validator=at_least(1))
    """Principal components; take far fewer than samples, as their number biases the estimate."""

    @property
    def least(self) -> int:
        """A sample more than dimensions."""
        return self.dimensions + 1


@attrs.frozen(kw_only=True)
class KernelDistance(MetricSpec):
    """Unbiased squared kernel discrepancy in the features of `frechet`, with the real-against-real floor.

    The kernel is the cubic one of KID. Not an Inception KID.
    Source: Bińkowski et al. (2018), arXiv:1801.01401, section 4.
    """

    implementation: ClassVar[str] = "crt_basics.metrics.kernel_distance:PolynomialDiscrepancy"
    meanings: ClassVar[Mapping[str, Meaning]] = KERNEL_DISTANCE

    dimensions: int = attrs.field(default=24, validator=at_least(1))
    """Principal components."""
    subsets: int = attrs.field(default=10, validator=at_least(2))
    """Disjoint subsets of the held-out samples, of at least two each, for the mean and its interval."""

    @property
    def least(self) -> int:
        """Two for each subset, and a sample more than dimensions."""
        return max(2 * self.subsets, self.dimensions + 1)


@attrs.frozen(kw_only=True)
class CodeLength(MetricSpec):
    """Two-part code length: bits for the ids plus bits for the data given the ids.

    The data given the ids has a discretised Gaussian about the reconstruction, with a width fitted on training data.
    """

    implementation: ClassVar[str] = "crt_basics.metrics.code_length:code_length"
    meanings: ClassVar[Mapping[str, Meaning]] = CODE_LENGTH
