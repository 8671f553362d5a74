"""Objectives: what a stage minimises, built from what its plan declares and from nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

import torch

from crt_run.training.ids import StoredIds, coded
from crt_run.training.losses import Loss
from crt_run.training.trainer import Part, fit
from crtcore.errors import RunError
from crtcore.kinds import Dataset, Run, StagePlan
from crtcore.spec import resolve


class StepKind(NamedTuple):
    """Steps that compute the same, by the last of them."""

    step: int
    progress: float
    steps: int


class Objective(NamedTuple):
    """What a stage trains, and what it minimises."""

    parts: Mapping[str, Part]
    """What learns; the first part is the stage's result."""
    loss: Callable[[int, float], Loss]
    """The loss of a step, given its number and the progress (0 to 1)."""
    ids: int
    """Of a sample."""
    validate: Callable[[], float] | None = None
    """A score of the first part, lower is better; it ends with its best weights."""
    validations: int = 1
    check: Callable[[], None] = lambda: None
    """Called before anything is trained; raises RunError if it must not be."""
    left_out: tuple[str, ...] = ()
    """Regularisers that could not be built where costs are counted, with reasons."""
    units: Mapping[str, str] = MappingProxyType({})
    """The units of readings, by name, for learning curves."""
    step_kinds: Callable[[], Sequence[StepKind]] = tuple
    """Steps that cost differently, where costs are counted; none: they all cost the same."""


class Inputs:
    """What an objective is built from: declared values of the plan, the data, and results of the stages before.

    Without a run only shapes count: the data are blank, and costs are counted on them.
    """

    def __init__(
        self, stage: StagePlan, dataset: Dataset, results: Mapping[str, Any] = MappingProxyType({}),
        run: Run | None = None,
    ) -> None:  # fmt: skip
        self.stage = stage
        self.plan = stage.plan.only(stage.reads, f"stage {stage.name!r}")
        self.run = run
        self.device = torch.device("cpu") if run is None else run.device
        self._dataset = dataset
        self._results = results

    @property
    def dataset(self) -> Any:
        """The data.

        Raises: RunError if the stage does not declare `dataset`.
        """
        self.plan["dataset"]
        return self._dataset

    def result(self, name: str) -> Any:
        """The result of a stage before, or a part that the plan declares and no stage trains.

        Raises: RunError if the stage declares neither.
        """
        if name not in (stage.name for stage in self.stage.after):
            self.plan[name]
        return self._results[name]

    @property
    def tokenizer(self) -> Any:
        """The result of the first stage before.

        Raises: RunError if the stage declares none.
        """
        if not self.stage.after:
            raise RunError(
                f"stage {self.stage.name!r} uses a tokenizer, which its cache key does not hold; "
                "declare the tokenizer's stage in `after`"
            )
        return self._results[self.stage.after[0].name]

    def codes(self, split: str) -> StoredIds:
        """The ids of a split by the tokenizer."""
        tokenizer, dataset = self.tokenizer, self.dataset
        if self.run is not None:
            return coded(self.run, self.stage.after[0], dataset, tokenizer, split)
        rows = torch.zeros(dataset.sizes[split], tokenizer.length, dtype=torch.int64)
        return StoredIds(rows, None if dataset.classes is None else rows[:, 0], None)

    def placed(self, part: Any) -> Any:
        """A part on the run's device; a blank one as it is."""
        return part if self.run is None else part.to(self.run.device)

    @cached_property
    def material(self) -> Any:
        """What the stage's plan names as its material; None where costs are counted."""
        return None if self.run is None else resolve(self.stage.material)(self)


def built(inputs: Inputs, *repeat: float) -> Objective:
    """The objective of a stage; `repeat` is one of its plan's `repeats`, if it has any."""
    objective: Objective = resolve(inputs.stage.objective)(inputs, *repeat)
    return objective


def trained(inputs: Inputs, *repeat: float) -> Any:
    """The result of a stage, in evaluation mode; trains it if that is not done yet.

    Raises: Stopped after a save, RunError if it cannot be trained.
    """
    return next(iter(trained_parts(inputs, *repeat).values()))


def trained_parts(inputs: Inputs, *repeat: float) -> dict[str, Any]:
    """All that a stage trains, by name, in evaluation mode, the result first; trains it if that is not done yet.

    Raises: Stopped after a save, RunError if it cannot be trained.
    """
    run, stage, objective = inputs.run, inputs.stage, built(inputs, *repeat)
    assert run is not None
    with run.stage(stage, "".join(map(repr, repeat))) as opened:
        run.facts.setdefault("units", {})[opened.name] = dict(objective.units)
        if not opened.finished:
            objective.check()
        fit(
            opened, objective.parts, stage.training, objective.loss,
            validate=objective.validate, validations=objective.validations,
        )  # fmt: skip
    _, *others = objective.parts.items()
    for name, part in others:  # experiments note the backends of a result, after it has run in evaluation mode
        run.note_backends(name, part.module)
    return {name: part.module.eval() for name, part in objective.parts.items()}
