"""Metric: what an experiment made, to numbers with units.

Axes: b batch, n ids of a sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

import attrs

from crtcore.spec import Spec

if TYPE_CHECKING:
    from collections.abc import Callable

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


class Meaning(NamedTuple):
    """What a number means to a reader."""

    text: str
    better: Literal["lower", "higher", ""] = ""
    """Which way it is better; empty: it only describes."""


class Train(NamedTuple):
    """Training samples, numbered from 0, and what is known of the held-out ones before they come."""

    samples: int
    data: Callable[[Int[Tensor, " b"]], Tensor]
    """The samples of these numbers; features and scales are fitted on them, alike for every arm."""
    reconstructed: Callable[[Int[Tensor, " b"]], Tensor]
    """The same through the tokenizer."""
    held_out: int
    """Held-out samples that will come."""
    vocabulary: int
    levels: int | None
    """As in `Dataset.levels`."""
    shared: dict[str, Any]
    """What the first metric that needs it fits for all of them, by name."""


class Evidence(NamedTuple):
    """A batch of held-out samples, and what was made of them."""

    rows: Int[Tensor, " b"]
    """Numbers of the samples, from 0 up to `Train.held_out`; each comes once."""
    real: Tensor
    reconstructed: Tensor
    """The held-out data through the tokenizer."""
    generated: Tensor
    """As many samples as `real`, generated with the same class ids."""
    ids: Int[Tensor, "b n"]
    """The ids of `real`."""
    id_nats: Float[Tensor, " b"]
    """What the ids of each sample cost the prior."""


@runtime_checkable
class Metric(Protocol):
    """Computes numbers with units from batches; its memory does not grow with their number."""

    def fit(self, train: Train) -> None:
        """Starts anew. Raises: ValueError if there are too few samples."""

    def update(self, batch: Evidence) -> None:
        """Takes a batch; sizes and order of batches change numbers by rounding alone."""

    def partial(self) -> Mapping[str, Tensor]:
        """What the batches since `fit` have left here, as tensors by name; it changes nothing."""

    def merge(self, partial: Mapping[str, Tensor]) -> None:
        """Takes the batches that another one took, fitted alike, by its `partial`; rounding alone depends on order."""

    def compute(self) -> dict[str, Measurement]:
        """The numbers by name, once every held-out sample has come."""


@attrs.frozen(kw_only=True)
class MetricSpec(Spec):
    """Base of every metric's spec."""

    kind: ClassVar[str] = "metric"
    meanings: ClassVar[Mapping[str, Meaning]] = {}
    """Number to what it means; in a name `*` stands for any text."""

    @property
    def least(self) -> int:
        """Held-out samples that it needs."""
        return 2

    def build(self) -> Metric:
        """The metric."""
        built: Metric = super().build()
        return built
