"""Experiment: which parts it needs, the order they run in, the records it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import attrs

from crtcore.kinds.findings import Figure, Findings, TradeOff
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

    def excerpt(self, paths: Sequence[str]) -> dict[str, Any]:
        """The parts of the identity that a stage depends on, by dotted path (`prior.0.width`); None where absent."""
        values = {}
        for path in paths:
            inside: Any = self.identity
            for step in path.split("."):
                inside = _inside(inside, step)
            values[path] = inside
        return values


def _inside(value: Any, step: str) -> Any:
    """The value of a table or an array at a key or an index; None if there is none."""
    if isinstance(value, list):
        return value[int(step)] if step.isdigit() and int(step) < len(value) else None
    return value.get(step) if value is not None else None


def digest(values: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits that stand for `values`."""
    import hashlib  # with OpenSSL, which a list of components does not need
    import json

    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class Outline(NamedTuple):
    """The shape of a dataset's samples, as far as it is known before any data are read."""

    shape: tuple[int, ...]
    """Axes of a sample."""
    dtype: torch.dtype
    classes: int | None
    vocabulary: int | None
    unknown: str | None
    """What is not known, and why."""


class Step(NamedTuple):
    """Parts that learn together, and what they minimise."""

    parts: Mapping[str, object]
    loss: Callable[[], Tensor]
    ids: int
    """Of a sample."""
    left_out: tuple[str, ...] = ()
    times: int = 1
    """How often a run trains the stage."""


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
    stopping: Callable[[], bool]
    """True once the run is asked to stop."""

    def stage(self, name: str, reads: tuple[str, ...], of: Plan | None = None) -> AbstractContextManager[Stage]:
        """The stage called `name`, which depends on what the plan has at the paths `reads`; one process at a time.

        `of` is the plan that is read, where an experiment trains by another than the run's own.
        """

    def record(self, line: Mapping[str, Any]) -> None:
        """Appends a line to the run's records, and reports it."""

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
    figures: ClassVar[tuple[Figure, ...]] = ()
    """How the report draws its points."""
    trade_offs: ClassVar[tuple[TradeOff, ...]] = ()
    """What the report of a sweep draws against each other."""

    def trains(self, stage: str) -> bool:
        """Whether a run trains a stage of its tables."""
        return True

    def training_steps(self, plan: Plan) -> int:
        """Training steps of a run, for a progress bar."""
        return sum(training.steps for stage, training in plan.training.items() if self.trains(stage))

    def step(self, stage: str, plan: Plan, data: Outline) -> Step | None:
        """One training step of a stage, to count its cost; None: the stage's role says how it trains."""
        return None

    def problems(self, plan: Plan) -> Iterable[tuple[str, str]]:
        """Dotted path and message of everything that does not fit together."""
        return ()

    def build(self) -> Experiment:
        """The experiment."""
        built: Experiment = super().build()
        return built
