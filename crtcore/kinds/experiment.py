"""Experiment: which parts it needs, the order they run in, the records it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, Self, runtime_checkable

import attrs

from crtcore.kinds.findings import Figure, Findings, TradeOff
from crtcore.kinds.metric import Meaning
from crtcore.kinds.view import View
from crtcore.settings import Sampling, Training
from crtcore.spec import Spec

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Role(NamedTuple):
    """A table of a spec file that an experiment reads, and the kind of component it holds."""

    kind: str
    many: bool = False
    """True: an array of tables, `[[role]]`."""
    optional: bool = False


@attrs.frozen(kw_only=True)
class Plan:
    """One run: every part chosen, every field known."""

    name: str
    seed: int
    experiment: ExperimentSpec
    parts: Mapping[str, Any]
    """Role to its spec; a tuple where the role is many, None where it is absent."""
    training: Mapping[str, Training]
    sampling: Sampling
    document: Mapping[str, Any]
    """The resolved spec file, defaults written out."""
    identity: Mapping[str, Any]
    """What results depend on: the document without name and cosmetic fields."""

    @property
    def hash(self) -> str:
        """The address of the run's folder."""
        return digest(self.identity)

    @property
    def stages(self) -> Sequence[StagePlan]:
        """What a run trains, in order."""
        return self.experiment.stage_plans(self)

    def only(self, reads: tuple[str, ...], reader: str = "a stage") -> View:
        """What is at the dotted paths `reads` (`seed`, `prior.0`, `training.prior`); reading anything else raises."""
        return View(self, reads, reader)


def digest(values: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits that stand for `values`."""
    import hashlib  # with OpenSSL, which a list of components does not need
    import json

    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class StagePlan(NamedTuple):
    """One training of a run: the trainer, the cost table, the progress bar and the cache key all read this."""

    name: str
    plan: Plan
    training: Training
    reads: tuple[str, ...]
    """Dotted paths of the plan that its result depends on, besides the stages in `after`; it sees no others."""
    objective: str
    """`package.module:name` of what builds its objective from `crt_run.training.objective.Inputs`."""
    material: str = ""
    """`package.module:name` of what makes, from the same inputs, the data that it trains on; empty: nothing does."""
    after: tuple[StagePlan, ...] = ()
    """Stages whose results it uses."""
    repeats: tuple[float, ...] = ()
    """Values that each have a training of their own; empty: there is one training."""
    total: int | None = None
    """Steps of all its trainings, where they are not those of `training` for each of `repeats`."""

    @property
    def steps(self) -> int:
        """Steps of all its trainings."""
        return self.training.steps * (len(self.repeats) or 1) if self.total is None else self.total

    @property
    def key(self) -> dict[str, Any]:
        """What its result depends on, as plain values."""
        return {**self.plan.only(self.reads).values(), "after": {stage.name: stage.key for stage in self.after}}


@runtime_checkable
class Stage(Protocol):
    """A trained thing, addressed by what it depends on, that any run may use."""

    name: str
    folder: Path

    @property
    def run(self) -> Run:
        """The run that uses it."""

    @property
    def finished(self) -> bool:
        """True: its final weights are there."""

    def latest(self) -> Any:
        """The newest checkpoint with its `tensors` and `state`, the final one if there is one; None: there is none."""

    def save(self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any], *, final: bool = False) -> None:
        """Commits a checkpoint, then drops the older ones."""

    def record(self, step: int, steps: int, metrics: Mapping[str, float]) -> None:
        """Appends metrics to the stage's records, and to the run's."""


@runtime_checkable
class Run(Protocol):
    """The folder that an experiment works in."""

    plan: Plan
    runs: Path
    """The folder of all runs."""
    folder: Path
    """This run's own."""
    device: torch.device
    facts: dict[str, Any]
    """What ran, for `run.json`."""
    data: str | None
    """SHA-256 of the data, once they are read; stages depend on it."""
    few: int | None
    """The most samples of each split that a rehearsal reads; None: this run is no rehearsal."""
    stopping: Callable[[], bool]
    """True once the run is asked to stop."""

    def stage(self, plan: StagePlan, label: str = "", reads: tuple[str, ...] = ()) -> AbstractContextManager[Stage]:
        """Opens the stage of a plan for one process at a time; `label` names one of several that share the plan.

        It depends on what the plan depends on, and on what is at the paths `reads`.
        """

    def record(self, line: Mapping[str, Any]) -> None:
        """Appends a line to the run's records, and reports it."""

    def note(self, text: str) -> None:
        """Reports a sentence for the person who runs it."""

    def note_backends(self, role: str, part: object) -> None:
        """Records the backends that a part or its modules ended up with: their attribute `backend`, if it is a text."""

    def keep(self, tensors: Mapping[str, Tensor]) -> None:
        """Saves the samples that the report shows."""


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
    small: ClassVar[Mapping[str, Any]] = {}
    """Tables of a small spec file of it, for its laws; required ones that are left out get a part of crt-basics."""
    clocked: ClassVar[tuple[str, ...]] = ()
    """Names of its numbers that a clock makes, so that they differ from run to run."""
    figures: ClassVar[tuple[Figure, ...]] = ()
    """How the report draws its points."""
    trade_offs: ClassVar[tuple[TradeOff, ...]] = ()
    """What the report of a sweep draws against each other."""
    meanings: ClassVar[Mapping[str, Meaning]] = {}
    """Number to what it means, besides those of metrics; in a name `*` stands for any text."""

    def stage_plans(self, plan: Plan) -> Sequence[StagePlan]:
        """What a run trains, in order."""
        return ()

    def rehearsed(self) -> tuple[Self, int]:
        """The experiment that a rehearsal runs, and the samples of each split that it reads: as few as show faults."""
        return self, 2

    def problems(self, plan: Plan) -> Iterable[tuple[str, str]]:
        """Dotted path and message of everything that does not fit together."""
        return ()

    def build(self) -> Experiment:
        """The experiment."""
        built: Experiment = super().build()
        return built
