"""Experiment: which parts it needs, the order they run in, the records it leaves."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, runtime_checkable

import attrs

from crtcore.spec import Spec

if TYPE_CHECKING:
    from crtcore.cost.stages import Outline, Step
    from crtcore.experiment import Plan
    from crtcore.kinds.metric import Measurement
    from crtcore.run import Run


class Role(NamedTuple):
    """A table of a spec file that an experiment reads, and the kind of component it holds."""

    kind: str
    many: bool = False
    """True: an array of tables, `[[role]]`."""
    optional: bool = False


class Row(NamedTuple):
    """One point of an experiment's table."""

    labels: Mapping[str, str | int | float]
    """What tells it from the others; every row has the same names."""
    numbers: Mapping[str, Measurement]
    """What was measured there."""


class Findings(NamedTuple):
    """What an experiment leaves."""

    numbers: Mapping[str, Measurement]
    """What it comes to as a whole."""
    points: Sequence[Row] = ()
    """Its table, where one number does not say it."""
    notes: Sequence[str] = ()
    """What a reader has to be told beside, a sentence each."""
    outcomes: Mapping[str, Sequence[float]] = MappingProxyType({})
    """What some of the numbers are the mean of: a value for each held-out sample, the same samples in every arm."""


class Figure(NamedTuple):
    """How a table of points is drawn: panels in a grid."""

    across: str
    """On the horizontal axis: a label that is a number, or with `along` a number that is measured."""
    lines: str
    """The label that tells lines apart; `arm` tells those of a sweep, and a run has one."""
    numbers: tuple[str, ...]
    """What is measured; a row of panels each."""
    columns: tuple[str, ...] = ()
    """The labels that tell columns of panels apart."""
    log: bool = False
    """True: the horizontal axis is logarithmic, for labels above 0."""
    along: str | None = None
    """The label whose values a line runs through, if `across` is measured; a sweep then tells gaps between arms."""
    references: tuple[str, ...] = ()
    """Numbers of all points that are drawn as one black line each, such as a bound where its measured number is."""


class TradeOff(NamedTuple):
    """Two numbers that the report of a sweep draws against each other."""

    across: str
    up: str
    joined: str
    """The setting, by dotted path, that the arms on one line have in common."""


@runtime_checkable
class Experiment(Protocol):
    """A study of one set of parts."""

    def __call__(self, plan: Plan, run: Run) -> Findings:
        """Trains and measures what `plan` says, in `run`'s folder; called again after a kill, it goes on."""


@attrs.frozen(kw_only=True)
class ExperimentSpec(Spec):
    """Base of every experiment's spec."""

    kind: ClassVar[str] = "experiment"
    roles: ClassVar[Mapping[str, Role]]
    """The tables it reads."""
    stages: ClassVar[Mapping[str, str]]
    """Stage, a table `[training.STAGE]`, to the role that asks for it."""
    figures: ClassVar[tuple[Figure, ...]] = ()
    """How the report draws its points."""
    trade_offs: ClassVar[tuple[TradeOff, ...]] = ()
    """What the report of a sweep draws against each other."""

    def trains(self, stage: str) -> bool:
        """Whether a run trains a stage of its tables."""
        return True

    def training_steps(self, plan: Plan) -> int:
        """Training steps of a run, for whoever waits for it."""
        return sum(training.steps for stage, training in plan.training.items() if self.trains(stage))

    def step(self, stage: str, plan: Plan, data: Outline) -> Step | None:
        """One training step of a stage, for whoever counts what it costs; None where the parts alone say it."""
        return None

    def problems(self, plan: Plan) -> Iterable[tuple[str, str]]:
        """What does not fit together: dotted path and message of each."""
        return ()

    @abc.abstractmethod
    def build(self) -> Experiment:
        """The experiment."""
