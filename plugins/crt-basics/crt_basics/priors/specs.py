"""Specs of the priors, free of torch."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import attrs

from crtcore.kinds import Prior, PriorSpec
from crtcore.spec import FieldError, at_least, resolve


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
    """The prior that a stage of a finished run has trained; it is not trained further."""

    implementation: ClassVar[str] = "crt_basics.priors.saved:restored"
    pretrained: ClassVar[bool] = True

    run: str
    """The finished run that trained it: its name in the folder of runs, `NAME/HASH` where several have that name, or
    its folder."""
    stage: str = "prior"
    """The stage of that run which trained it."""
    prior: PriorSpec | None = None
    """A description that takes the place of the one that was trained, for other settings with the same weights."""

    def located(self, runs: Path) -> Saved:
        """This spec with the folder of its run, which is looked for in `runs`.

        Raises: RunError if there is no such run.
        """
        from crt_run.runs.find import find_run  # with json and hashlib, which a list of components does not need

        return attrs.evolve(self, run=str(find_run(self.run, runs)))

    def weights(self) -> Path:
        """The folder of the weights.

        Raises: RunError if there is no such run, or it has no such stage.
        """
        from crt_run.runs.find import find_run, find_stage

        return find_stage(find_run(self.run), self.stage)

    def example_in(self, folder: Path) -> Saved:
        """A copy that refers to a run with the initial weights of its prior, or of a small table."""
        prior = (self.prior or Table(order=1)).example_in(folder / "inner")
        run: Path = resolve("crt_basics.priors.saved:write_example")(folder / "runs", prior)
        return attrs.evolve(self, run=str(run), stage="prior", prior=prior)


def _ahead(_: object, attribute: attrs.Attribute[tuple[int, int]], value: tuple[int, int]) -> None:
    start, stop = value
    if start < 0 or (stop <= start and stop != 0):
        raise FieldError(attribute.name, f"expected two positions, the second beyond the first or 0, got {value!r}")


@attrs.frozen(kw_only=True)
class Guidance(PriorSpec):
    """Classifier-free guidance: moves a prior's logits for a class away from those for no class.

    It changes generation, not training: a stage trains the inner prior as if it were alone, and runs with and without
    guidance share that stage. The inner prior must have seen samples without a class, as one with `label_dropout` has.
    A run's numbers, such as the code length of ids, are of the guided distribution.
    Source: Ho and Salimans (2022), arXiv:2207.12598, eq. 6, where w is scale - 1.
    """

    implementation: ClassVar[str] = "crt_basics.priors.guided:guided"
    pretrained: ClassVar[bool | str] = "prior"

    scale: float = attrs.field(validator=at_least(0))
    """Weight of the class's logits against those for no class; 1 is the prior itself, 0 ignores the class."""
    interval: tuple[int, int] = attrs.field(default=(0, 0), validator=_ahead)
    """First guided position, and the one after the last; there 0 means no end."""
    prior: PriorSpec
    """The prior to guide, trained by `[training.prior]`, or one that brings its weights."""

    def around(self, prior: Prior, classes: int | None) -> Prior:
        """Guides a trained prior."""
        guided: Prior = resolve("crt_basics.priors.guided:around")(self, prior, classes)
        return guided

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
