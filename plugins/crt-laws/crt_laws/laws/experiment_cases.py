"""A small plan for any experiment, and runs of it that are killed or asked to stop at a chosen moment."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import attrs
import torch

from crt_laws.toys import Chain, Patches, Runs
from crt_run.runs import checkpoint
from crt_run.runs.rehearse import shortened
from crt_run.runs.run import Run
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.errors import Stopped
from crtcore.hooks import Component
from crtcore.kinds import Experiment, ExperimentSpec, Figure, Findings, Json, Measurement, Plan, TradeOff
from crtcore.registry import NotInstalled, Registry, describe, discover

PARTS: Mapping[str, Mapping[str, Any]] = {
    "dataset": {"use": "digits"},
    "tokenizer": {"use": "laws-patches"},
    "bottleneck": {"use": "fsq", "levels": [3, 3]},
    "regularizer": {"use": "laws-chain"},
    "prior": {"use": "table", "order": 1},
    "decoder": {"use": "ancestral"},
    "metric": {"use": "code-length"},
}
"""Kind to the part that a role gets which the experiment requires and its `small` leaves out."""
TRAINING = {"steps": 6, "batch": 4, "checkpoint": 2}
"""Settings of each stage: a checkpoint at steps 2 and 4, so that a kill finds none, one that is old, or the last."""


class Killed(BaseException):
    """The end of a process, as far as an experiment can notice it."""


class Outcome(NamedTuple):
    """What a run left."""

    findings: Findings | None
    """None: it raised Stopped."""
    weights: Mapping[str, str]
    """Each final checkpoint, by its path below the folder of all runs, to the hash of its tensors."""
    stages: tuple[str, ...]
    """The stages that it opened."""
    moments: int
    """How often it recorded something, reported something, or asked whether to stop."""
    asked: bool
    """True: it asked whether to stop when the answer was yes."""


@attrs.frozen(slots=False)
class Trial:
    """An experiment with a small plan."""

    plan: Plan
    experiment: Experiment
    few: int
    """Samples of each split that are read."""
    declared: tuple[str, ...]
    """The stages that its spec plans."""
    figures: tuple[Figure, ...]
    trade_offs: tuple[TradeOff, ...]
    clocked: tuple[str, ...]
    folder: object = None
    """The folder that its parts read, kept for as long as they are."""

    @functools.cached_property
    def whole(self) -> Outcome:
        """What a run leaves that nothing interrupts."""
        with TemporaryDirectory() as runs:
            return self.run(Path(runs))

    def run(self, runs: Path, *, kill: int = 0, stop: int = 0, seed: int = 0) -> Outcome:
        """Runs the plan below `runs`, or goes on there; dies at moment `kill`, is asked to stop from moment `stop` on.

        `seed` is that of torch's global generator, which no result may depend on.
        Raises: Killed, and what the experiment raises.
        """
        moments, asked = 0, False

        def moment(_: Json | None = None) -> None:
            nonlocal moments
            moments += 1
            if moments == kill:
                raise Killed

        def stopping() -> bool:
            nonlocal asked
            moment()
            asked = asked or 0 < stop <= moments
            return 0 < stop <= moments

        run = Run(self.plan, runs, moment, stopping, few=self.few)
        run.folder.mkdir(parents=True, exist_ok=True)
        checkpoint.tidy(run.folder)
        findings: Findings | None = None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                findings = self.experiment(self.plan, run)
            except Stopped:
                asked = True
        weights = {
            str(path.relative_to(runs)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(runs.glob("stages/*/*/final/tensors.safetensors"))
        }
        return Outcome(findings, weights, tuple(run.facts["stages"]), moments, asked)

    def lasting(self, findings: Findings) -> dict[str, str]:
        """Every number that no clock makes, by its place, with all its digits."""
        placed: dict[str, Any] = {f"number {name}": each for name, each in findings.numbers.items()}
        for row in findings.points:
            placed |= {f"number {name} of {dict(row.labels)}": each for name, each in row.numbers.items()}
        placed |= {f"outcome {name}": tuple(values) for name, values in findings.outcomes.items()}
        return {place: repr(each) for place, each in placed.items() if place.split()[1] not in self.clocked}


def trial(spec: ExperimentSpec) -> Trial:
    """The trial of a spec: the smallest parts that it takes, six steps of each stage, as few samples as it can read.

    Raises: SpecError if the parts do not fit; the experiment's `small` names others.
    """
    folder = TemporaryDirectory()
    spec, _ = spec.example_in(Path(folder.name)).rehearsed()
    registry = registered(spec)
    (point,) = study(Document(document(spec, registry), {}), registry).points
    small, few = shortened(point.plan)
    plan = attrs.evolve(point.plan, experiment=small.experiment)
    return Trial(
        plan=plan, experiment=small.experiment.build(), few=few, declared=tuple(stage.name for stage in plan.stages),
        figures=spec.figures, trade_offs=spec.trade_offs, clocked=spec.clocked, folder=folder,
    )  # fmt: skip


def document(spec: ExperimentSpec, registry: Registry) -> dict[str, Any]:
    """The small spec file of an experiment, as the tables that TOML would hold."""
    tables: dict[str, Any] = {"name": "law", "experiment": describe(spec, registry)}
    for role, what in spec.roles.items():
        if not what.optional:
            part = dict(PARTS[what.kind])
            tables[role] = [part] if what.many else part
    small = {name: value for name, value in spec.small.items() if name != "training"}
    own = spec.small.get("training", {})
    roles = {stage: role for stage, role in spec.stages.items() if role in {**tables, **small}}
    pretrained = {
        stage
        for stage, role in roles.items()
        if getattr(registry.find(spec.roles[role].kind, used({**tables, **small}[role])).spec, "pretrained", False)
    }
    training = {stage: {**TRAINING, **own.get(stage, {})} for stage in roles if stage not in pretrained}
    return {**tables, **small, **({"training": training} if training else {})}


def used(table: Any) -> str:
    """The name of the component of a table, or of the first of several."""
    name: str = (table[0] if isinstance(table, list | tuple) else table)["use"]
    return name


def registered(spec: ExperimentSpec) -> Registry:
    """All that is installed, the toys, and the experiment, if it is not installed."""
    toys = [
        Component("laws-patches", spec=Patches, summary="linear patches", examples=(Patches(),)),
        Component("laws-chain", spec=Chain, summary="linear prediction", examples=(Chain(),)),
        Component("laws-runs", spec=Runs, summary="rows of one id", examples=(Runs(),)),
    ]
    registry = Registry.of([*discover(), *(("laws", toy) for toy in toys)])
    try:
        registry.owner(type(spec))
    except NotInstalled:
        mine = Component("laws-experiment", spec=type(spec), summary="under test", examples=(spec,))
        return Registry.of([*registry, ("laws", mine)])
    return registry


def ends(number: Measurement) -> tuple[float, float, float]:
    """The value and the interval of a number, which is the value where there is none."""
    value, low, high = number.value, number.low, number.high
    return value, value if low is None else low, value if high is None else high
