"""Specs of the priors, free of torch."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import attrs

from crtcore.kinds import PriorSpec
from crtcore.spec import FILES, FieldError, at_least, resolve


@attrs.frozen(kw_only=True)
class Table(PriorSpec):
    """A table of logits for every context of a few ids: exact, tiny, for laws and tests."""

    implementation: ClassVar[str] = "crt_basics.priors.table:table"

    order: int = attrs.field(default=2, validator=at_least(0))
    """Preceding ids that matter."""
    spread: float = attrs.field(default=1.0, validator=at_least(0))
    """Standard deviation of the initial logits."""


@attrs.frozen(kw_only=True)
class Saved(PriorSpec):
    """Another prior with the weights of a finished stage; it is not trained further."""

    implementation: ClassVar[str] = "crt_basics.priors.saved:restored"
    pretrained: ClassVar[bool] = True

    folder: str = attrs.field(metadata=FILES)
    """The stage's checkpoint, such as `runs/stages/prior/HASH/final`, relative to the current folder."""
    prior: PriorSpec
    """The prior that was trained."""

    def example_in(self, folder: Path) -> Saved:
        """A copy whose folder holds the initial weights of the inner prior."""
        prior = self.prior.example_in(folder / "inner")
        resolve("crt_basics.priors.saved:write_example")(folder / "final", prior)
        return attrs.evolve(self, prior=prior, folder=str(folder / "final"))


def _weighted(_: object, attribute: attrs.Attribute[PriorSpec], value: PriorSpec) -> None:
    if not value.pretrained:
        message = f"expected a prior that brings its weights, such as 'saved', got {type(value).__name__}"
        raise FieldError(attribute.name, message)


def _ahead(_: object, attribute: attrs.Attribute[tuple[int, int]], value: tuple[int, int]) -> None:
    start, stop = value
    if start < 0 or (stop <= start and stop != 0):
        raise FieldError(attribute.name, f"expected two positions, the second beyond the first or 0, got {value!r}")


@attrs.frozen(kw_only=True)
class Guidance(PriorSpec):
    """Classifier-free guidance: moves a prior's logits for a class away from those for no class.

    It changes generation, not training: the inner prior brings its weights.
    Source: Ho and Salimans (2022), arXiv:2207.12598, eq. 6, where w is scale - 1.
    """

    implementation: ClassVar[str] = "crt_basics.priors.guided:guided"
    pretrained: ClassVar[bool] = True

    scale: float = attrs.field(validator=at_least(0))
    """Weight of the class's logits against those for no class; 1 is the prior itself, 0 ignores the class."""
    interval: tuple[int, int] = attrs.field(default=(0, 0), validator=_ahead)
    """First guided position, and the one after the last; there 0 means no end."""
    prior: PriorSpec = attrs.field(validator=_weighted)
    """The prior to guide."""

    def example_in(self, folder: Path) -> Guidance:
        """A copy that guides an example of the inner prior."""
        return attrs.evolve(self, prior=self.prior.example_in(folder))


@attrs.frozen(kw_only=True)
class Bigram(PriorSpec):
    """How often each id follows another in the ids of training samples; classes are ignored.

    An id that never followed another has the share of its own occurrences in one more pair.
    """

    implementation: ClassVar[str] = "crt_basics.priors.bigram:bigram"
    pretrained: ClassVar[bool] = True

    def example_in(self, folder: Path) -> BigramExample:
        """One that has counted random ids."""
        return BigramExample()


@attrs.frozen(kw_only=True)
class BigramExample(Bigram):
    """A `bigram` of random ids, where laws are tried."""

    implementation: ClassVar[str] = "crt_basics.priors.bigram:example"
