"""One spec file, to the plans it describes: the point or points of a study, checked whole before anything runs."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli

from crtcore.compose.document import Document, beyond, laid, read, undotted
from crtcore.compose.grid import claims_in, spread, structured
from crtcore.compose.parts import planned
from crtcore.compose.structure import Structurer
from crtcore.compose.study import BASELINE, WHOLE, Point, Study
from crtcore.errors import PROBLEMS, Key, Problem, SpecError, dotted
from crtcore.kinds import ExecutorSpec
from crtcore.loading import guarded
from crtcore.registry import Registry

OVERRIDE = "--set "
"""How the origin of a value begins that was given on the command line."""


def load(path: Path, registry: Registry, overrides: Sequence[str] = ()) -> Study:
    """The study in a spec file, with `a.b=value` overrides.

    Raises: SpecError with everything that is wrong, in path order.
    """
    document = read(path)
    override(document, overrides)
    return study(document, registry)


def override(document: Document, overrides: Sequence[str]) -> None:
    """Writes `a.b=value` texts into a document; a value that is no TOML is taken as a string.

    Raises: SpecError for a text without `=` and for a path that leads nowhere.
    """
    problems = []
    for text in sorted(overrides, key=lambda each: laid(undotted(each.partition("=")[0].strip()))):
        name, sign, written = text.partition("=")
        where, path, value = f"{OVERRIDE}{text}", undotted(name.strip()), parsed(written.strip())
        if not sign or "" in path:
            problems.append(Problem(where, (), "expected KEY=VALUE, such as bottleneck.codes=128"))
            continue
        if path[0] == "extends":
            problems.append(Problem(where, path, "only a file can extend another"))
            continue
        problems += [Problem(where, inside, message) for inside, message in beyond(value, path)]
        try:
            document.put(path, value, where)
        except LookupError as error:
            problems.append(Problem(where, (), str(error)))
    if problems:
        raise SpecError(problems)


def parsed(text: str) -> Any:
    """A value as TOML has it, or else the text itself."""
    try:
        values = tomli.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return values["value"] if len(values) == 1 else text  # a text of several lines is no single value


def study(document: Document, registry: Registry) -> Study:
    """The study that a document describes.

    Raises: SpecError with everything that is wrong, in path order.
    """
    with guarded():
        return _study(document, Structurer(registry))


def _study(document: Document, structure: Structurer) -> Study:
    problems: dict[Problem, set[str]] = {}  # each with the arms that have it
    arms: dict[str, None] = {}

    def note(path: Key, message: str, source: Document = document, *arm: str) -> None:
        problems.setdefault(Problem(source.where(path), path, message), set()).update(arm)
        if len(problems) > PROBLEMS:
            raise _refused(problems, arms)

    base = Document(
        {key: value for key, value in document.values.items() if key != "sweep"},
        {path: origin for path, origin in document.origins.items() if path[:1] != ("sweep",)},
        document.swapped,
    )
    sweep = document.values.get("sweep")
    points: list[Point] = []
    idle = {path for path, origin in base.origins.items() if origin.startswith(OVERRIDE)}
    for arm, settings, changes in spread(sweep, len(base.origins), note):
        arms[arm] = None
        point = Document(copy.deepcopy(base.values), dict(base.origins), set(base.swapped))
        for path, value, written in changes:
            if path[0] in WHOLE:  # `_unclear` reports it
                continue
            try:
                point.put(path, value, document.where(written))
            except LookupError as error:
                note(written, str(error))
        idle = {path for path in idle if point.origins.get(path) != base.origins[path]}
        plan = planned(point, structure, lambda path, message, own=(point, arm): note(path, message, *own))
        if plan:
            points.append(Point(arm, settings, plan))
    for path in idle:
        note(path, f"has no effect, as the sweep sets it at every point; try --set 'sweep.{dotted(path)}=…'")
    runs: dict[str, Point] = {}
    for each in () if problems else points:
        if (twin := runs.setdefault(each.plan.hash, each)) is not each:
            note(("sweep",), f"expected points that differ, got one twice: {twin.label} and {each.label}")
    baseline = BASELINE if BASELINE in arms else next(iter(arms), BASELINE)
    claims = claims_in(sweep, structure, note, list(arms), baseline)
    executor = structured(base, ("executor",), ExecutorSpec, structure, note) if "executor" in base.values else None
    if problems:
        raise _refused(problems, arms)
    return Study(
        name=base.values["name"], points=tuple(points), claims=claims, executor=executor, swept=sweep is not None,
        document=document.values, baseline=baseline,
    )  # fmt: skip


def _refused(problems: Mapping[Problem, set[str]], arms: Collection[str]) -> SpecError:
    """Problems in path order, entries of an array by their index; those of some arms alone name these."""
    order = {each: [(step, "") if isinstance(step, int) else (-1, step) for step in each.path] for each in problems}
    named = []
    for problem in sorted(problems, key=order.__getitem__):
        some = [repr(arm) for arm in arms if arm in problems[problem] and len(problems[problem]) < len(arms)]
        where = f" (in the arm{'s' * (len(some) > 1)} {', '.join(some)})" if some else ""
        named.append(problem._replace(message=f"{problem.message}{where}"))
    return SpecError(named)
