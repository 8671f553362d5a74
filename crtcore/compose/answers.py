"""What specs answer once they are made: their validators, and what commands ask of every component."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import attrs

from crtcore.compose.document import undotted
from crtcore.errors import PROBLEMS, Key, in_one_line
from crtcore.kinds import Plan, StagePlan
from crtcore.loading import Failed, call
from crtcore.registry import Registry, describe
from crtcore.settings import Training
from crtcore.spec import FieldError, Spec, names_files

Wrong = list[tuple[Key, str]]


class Answers:
    """Asks the specs of one study; each of them once."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._known: dict[int, tuple[Any, Wrong]] = {}

    def wrong(self, made: Any, path: Key = ()) -> Iterator[tuple[Key, str]]:
        """Path and message of every value that a validator refuses, and of every component that does not answer."""
        if isinstance(made, tuple):
            for index, entry in enumerate(made):
                yield from self.wrong(entry, (*path, index))
        if not attrs.has(type(made)):
            return
        if id(made) not in self._known:
            self._known[id(made)] = made, self._of(made)
        for inside, message in self._known[id(made)][1]:
            yield (*path, *inside), message

    def _of(self, made: Any) -> Wrong:
        if not isinstance(made, Spec):
            return [*_refused(made), *self._inside(made)]
        try:
            wrong = [*self._asked(made, _refused, made), *self._inside(made)]
            return wrong or self._asked(made, _plain, made, self.registry)
        except Failed as failed:
            return [((), str(failed))]

    def _inside(self, made: Any) -> Wrong:
        entries = (self.wrong(getattr(made, field.name), (field.name,)) for field in attrs.fields(type(made)))
        return [each for wrong in entries for each in wrong]

    def _asked(self, spec: Spec, function: Any, *args: Any) -> Any:
        """What code of a spec returns.

        Raises: Failed, which names the component, if it raises or gives no answer.
        """
        plugin, _ = self.registry.owner(type(spec))
        try:
            return call(plugin, function, *args)
        except Failed as failed:
            error = failed.__cause__
            who = (error and self.registry.blamed(error)) or self.registry.called(type(spec))
            raise Failed(f"{who} cannot be used ({failed})") from error

    def of_plan(self, plan: Plan) -> Wrong:
        """What the experiment of a plan finds wrong with it, and whether it names its stages."""
        experiment = plan.experiment
        try:
            wrong: Wrong = self._asked(experiment, _unfit, experiment, plan)
            return wrong or self._asked(experiment, _staged, plan)
        except Failed as failed:
            return [(("experiment",), str(failed))]


def _refused(made: Any) -> Wrong:
    """Path and message of every field that a validator refuses."""
    wrong: Wrong = []
    for field in attrs.fields(type(made)):
        value = getattr(made, field.name)
        if field.validator:
            try:
                field.validator(made, field, value)
            except FieldError as error:
                wrong.append(((error.field,), error.message))
            except Exception as error:  # attrs' own validators: a message, then what it is about
                wrong.append(((field.name,), str(error.args[0] if error.args else in_one_line(error))))
        if isinstance(value, float) and not math.isfinite(value):  # a default
            wrong.append(((field.name,), f"expected a finite number, got {value!r}"))
    return wrong


def _plain(spec: Spec, registry: Registry) -> Wrong:
    """Nothing, once a spec has been compared, hashed, and written as plain values: what commands do with each."""
    hash(spec)
    assert spec == spec  # noqa: PLR0124  # its own code
    assert spec not in (None, ())
    for cosmetic in (True, False):
        json.dumps(describe(spec, registry, cosmetic=cosmetic), allow_nan=False)
    for field in attrs.fields(type(spec)):
        names_files(field, getattr(spec, field.name))
    return []


def _unfit(experiment: Any, plan: Plan) -> Wrong:
    """Path and message of the first problems that an experiment has with a plan."""
    problems: Iterable[tuple[str, str]] = islice(experiment.problems(plan), PROBLEMS + 1)
    wrong = [(path, message) for path, message in problems]
    if not all(type(each) is str for pair in wrong for each in pair):
        raise TypeError(f"problems: expected pairs of texts, got {wrong[0]!r}")
    return [(undotted(path), message) for path, message in wrong]


def _staged(plan: Plan) -> Wrong:
    """Nothing, once an experiment has named the stages of a plan."""
    stages: Sequence[Any] = list(islice(plan.stages, PROBLEMS))
    for stage in stages:
        if not isinstance(stage, StagePlan) or type(stage.name) is not str or not isinstance(stage.training, Training):
            raise TypeError(f"stage_plans: expected plans of stages, got {stage!r}")
        if type(stage.steps) is not int:
            raise TypeError(f"stage_plans: expected a number of steps, got {stage.steps!r}")
    return []
