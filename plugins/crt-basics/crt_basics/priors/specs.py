"""Specs of the priors, free of torch."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import attrs

from crtcore.kinds import PriorSpec
from crtcore.spec import FieldError, at_least, resolve


@attrs.frozen(kw_only=True)
class Table(PriorSpec):
    """A table of logits for every context of a few ids: exact, tiny, for laws and tests."""

    implementation: ClassVar[str] = "crt_basics.priors.table:table"

    order: int = attrs.field(default=2, validator=at_least(0))
    """Preceding ids that matter."""
    spread: float = attrs.field(default=1.0, validator=at_least(0))
    """Standard deviation of the logits it starts with."""


@attrs.frozen(kw_only=True)
class Saved(PriorSpec):
    """Another prior, with the weights that a finished stage left: nothing trains it further."""

    implementation: ClassVar[str] = "crt_basics.priors.saved:restored"
    pretrained: ClassVar[bool] = True

    folder: str
    """The stage's checkpoint, such as `runs/stages/prior/HASH/final`, from where the command is given."""
    prior: PriorSpec
    """The prior that was trained."""

    def example_in(self, folder: Path) -> Saved:
        """The weights of a prior inside that was built and not trained."""
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
    """Classifier-free guidance: another prior, drawn away from what it says of no class.

    It changes what is drawn and is no way to train: the prior inside brings its weights.
    Source: Ho and Salimans (2022), arXiv:2207.12598, eq. 6, where w is scale - 1.
    """

    implementation: ClassVar[str] = "crt_basics.priors.guided:guided"
    pretrained: ClassVar[bool] = True

    scale: float = attrs.field(validator=at_least(0))
    """Weight of the class's logits against those of no class; 1 is the prior itself, 0 leaves the class out."""
    interval: tuple[int, int] = attrs.field(default=(0, 0), validator=_ahead)
    """First position that is guided, and the one behind the last; there 0 is no end."""
    prior: PriorSpec = attrs.field(validator=_weighted)
    """The prior that is guided."""

    def example_in(self, folder: Path) -> Guidance:
        """An example of the prior inside, guided."""
        return attrs.evolve(self, prior=self.prior.example_in(folder))
