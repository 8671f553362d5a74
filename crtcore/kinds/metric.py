"""Metric: what an experiment made, to numbers with units."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, runtime_checkable

import attrs

from crtcore.spec import Spec

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor


class Measurement(NamedTuple):
    """One final number."""

    value: float
    unit: str
    n: int
    """How many samples it was measured on; where runs are joined, how many seeds."""
    low: float | None = None
    """Ends of a 95 % interval over those, where there is one."""
    high: float | None = None


class Evidence(NamedTuple):
    """What metrics are computed from. Held-out data unless the name says `train`."""

    train: Tensor
    """Training data: features and scales are fitted here, alike for every arm."""
    train_reconstructed: Tensor
    """The training data through the tokenizer; what a code for images given ids is fitted on."""
    real: Tensor
    """Held-out data."""
    reconstructed: Tensor
    """The held-out data through the tokenizer."""
    generated: Tensor
    """As many samples as `real`, generated with the same class ids."""
    ids: Int[Tensor, "b n"]
    """The ids of `real`."""
    id_nats: Float[Tensor, " b"]
    """What the ids of each held-out sample cost the prior."""
    vocabulary: int
    levels: int | None
    """As in `Dataset.levels`."""


@runtime_checkable
class Metric(Protocol):
    """Computes numbers with units."""

    def __call__(self, evidence: Evidence) -> dict[str, Measurement]:
        """The numbers by name."""


@attrs.frozen(kw_only=True)
class MetricSpec(Spec):
    """Base of every metric's spec."""

    kind: ClassVar[str] = "metric"

    def build(self) -> Metric:
        """The metric."""
        built: Metric = super().build()
        return built
