"""One spec file, to the plans it describes: the point or points of a study, checked whole before anything runs."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import attrs
import tomli

from crtcore.kinds import KINDS, ExecutorSpec, ExperimentSpec, Plan, PriorSpec, Role, digest
from crtcore.registry import Registry
from crtcore.settings import Sampling, Training
from crtcore.spec import Spec
from crtcore.structure import Misfit, describe, nearest, shown, structure
from crtcore.toml import Document, Key, Problem, SpecError, beyond, dotted, read, undotted

COMMON = ("name", "seed", "experiment", "training", "sampling", "executor")
"""Top-level keys that every spec file may have; the rest are the experiment's roles and `sweep`."""
OVERRIDE = "--set "
"""How the origin of a value begins that was given on the command line."""
BASELINE = "baseline"
"""The arm that pairs are taken against."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a spec file, and an arm, may be called."""
RESERVED = "stages"
"""A name that would be taken for the folder of shared stages."""
_WHOLE = ("name", "executor", "sweep", "extends")
"""Top-level keys that no point of a study has of its own."""


@attrs.frozen(kw_only=True)
class Claim:
    """Something the study says beforehand: `arm` has a lower (or higher) `number` than `against`, paired by seed."""

    number: str
    arm: str
    against: str = BASELINE
    expect: Literal["lower", "higher"] = "lower"


class Point(NamedTuple):
    """One run of a study."""

    arm: str
    grid: tuple[str, ...]
    """The grid's values other than the seed, as `path=value`."""
    plan: Plan

    @property
    def group(self) -> str:
        """What intervals are taken within: arm and grid values, over seeds."""
        return ", ".join((self.arm, *self.grid))

    @property
    def label(self) -> str:
        """Which point it is, for a person."""
        return f"{self.group}, seed {self.plan.seed}"


@attrs.frozen(kw_only=True)
class Study:
    """Everything one spec file asks for."""

    name: str
    points: tuple[Point, ...]
    claims: tuple[Claim, ...]
    executor: ExecutorSpec
    swept: bool
    """True: the file has a `[sweep]`."""
    document: Mapping[str, Any]
    """The file as merged and overridden, before defaults."""

    @property
    def hash(self) -> str:
        """The address of the sweep's folder."""
        points = [[point.group, point.plan.hash] for point in self.points]
        return digest({"points": points, "claims": [attrs.asdict(claim) for claim in self.claims]})


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
    for text in overrides:
        name, sign, written = text.partition("=")
        where, path, value = f"{OVERRIDE}{text}", undotted(name.strip()), _value(written.strip())
        if not sign or "" in path:
            problems.append(Problem(where, (), "expected KEY=VALUE, such as bottleneck.codes=128"))
            continue
        if path[0] == "extends":
            problems.append(Problem(where, path, "only a file can extend another"))
            continue
        problems += [Problem(where, (*path, *inside), message) for inside, message in beyond(value)]
        try:
            document.put(path, value, where)
        except LookupError as error:
            problems.append(Problem(where, (), str(error)))
    if problems:
        raise SpecError(problems)


def _value(text: str) -> Any:
    try:
        values = tomli.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return values["value"] if len(values) == 1 else text  # a text of several lines is no single value


def study(document: Document, registry: Registry) -> Study:
    """The study that a document describes.

    Raises: SpecError with everything that is wrong, in path order.
    """
    problems: dict[Problem, None] = {}  # as a set, in the order they were found

    def note(path: Key, message: str, source: Document = document) -> None:
        problems[Problem(source.where(path), path, message)] = None

    base = Document({k: v for k, v in document.values.items() if k != "sweep"}, document.origins)
    sweep = document.values.get("sweep")
    points: list[Point] = []
    idle = {path for path, origin in document.origins.items() if origin.startswith(OVERRIDE) and path[0] != "sweep"}
    for arm, grid, changes in _spread(sweep, note):
        idle = {path for path in idle if any(change.path == path[: len(change.path)] for change in changes)}
        point = Document(copy.deepcopy(base.values), dict(base.origins))
        for path, value, written, _ in changes:
            if path[0] in _WHOLE:  # told by `_unclear`
                continue
            try:
                point.put(path, value, document.where(written))
            except LookupError as error:
                note(written, str(error))
        plan = _plan(point, registry, lambda path, message, point=point: note(path, message, point))
        if plan:
            points.append(Point(arm, grid, plan))
    for path in idle:
        note(path, f"has no effect, as the sweep sets it at every point; try --set 'sweep.{dotted(path)}=…'")
    runs: dict[str, Point] = {}
    for each in () if problems else points:
        if (twin := runs.setdefault(each.plan.hash, each)) is not each:
            note(("sweep",), f"expected points that differ, got one twice: {twin.label} and {each.label}")
    claims = _claims(sweep, note)
    executor = _one(base, ("executor",), ExecutorSpec, registry, note) if "executor" in base.values else None
    if problems:
        raise SpecError(sorted(problems, key=_order))
    return Study(
        name=base.values["name"],
        points=tuple(points),
        claims=claims,
        executor=executor or registry.find("executor", "local").spec(),  # type: ignore[arg-type]
        swept=sweep is not None,
        document=document.values,
    )


def _order(problem: Problem) -> list[tuple[int, str]]:
    """By path, entries of an array by their index."""
    return [(step, "") if isinstance(step, int) else (-1, step) for step in problem.path]


def leaves(table: Mapping[str, Any], path: Key = ()) -> Iterator[tuple[Key, Any]]:
    """The values of nested tables, each with its path; `"a.b" = 1` and `a.b = 1` are one."""
    for name, value in table.items():
        here = (*path, name)
        if isinstance(value, dict) and value:
            yield from leaves(value, here)
        else:
            yield here, value


def _spread(sweep: Any, note: Any) -> Iterator[tuple[str, tuple[str, ...], list[_Change]]]:
    """Arms times grid: the arm, its grid values, and its changes."""
    if sweep is None:
        yield BASELINE, (), []
        return
    if not isinstance(sweep, dict):
        note(("sweep",), f"expected a table, got {shown(sweep)}")
        return
    arms = sweep.get("arms", {BASELINE: {}})
    if not isinstance(arms, dict) or not arms or not all(isinstance(arm, dict) for arm in arms.values()):
        note(("sweep", "arms"), f"expected a table for each arm, got {shown(arms)}")
        return
    if len(arms) > 1 and BASELINE not in arms:
        note(("sweep", "arms"), f"expected an arm called {BASELINE!r} to compare with, got {', '.join(arms)}")
    axes: list[list[_Change]] = []
    for path, values in leaves({name: value for name, value in sweep.items() if name not in ("arms", "claim")}):
        if not isinstance(values, list) or not values:
            note(("sweep", *path), f"expected an array of values to try, got {shown(values)}")
        else:
            key = undotted(dotted(path))
            axes.append([_Change(key, value, ("sweep", *path), _named(value, values)) for value in values])
    grid = [axis[0] for axis in axes]
    for arm, table in arms.items():
        if not NAME.fullmatch(arm):
            note(("sweep", "arms", arm), f"expected a name of letters, digits, '.', '_' and '-', got {arm!r}")
        own = [_Change(undotted(dotted(path)), value, ("sweep", "arms", arm, *path)) for path, value in leaves(table)]
        _unclear([*grid, *own], note)
        for chosen in itertools.product(*axes):
            told = tuple(f"{dotted(change.path)}={change.told}" for change in chosen if change.path != ("seed",))
            yield arm, told, [*own, *chosen]


class _Change(NamedTuple):
    """A value that a point has of its own."""

    path: Key
    value: Any
    written: Key
    """Where it stands in the file."""
    told: str = ""
    """What points with it are called."""


def _named(value: Any, among: Sequence[Any]) -> str:
    """A component by its name where no other value has that; what is written elsewhere."""
    used = [each.get("use") for each in among if isinstance(each, dict)]
    name = value.get("use") if isinstance(value, dict) else None
    return str(value if name is None or used.count(name) > 1 else name)


def _unclear(changes: Sequence[_Change], note: Any) -> None:
    """Notes changes that no point can have, or that overwrite one another."""
    for index, change in enumerate(changes):
        if change.path[0] in _WHOLE:
            note(change.written, f"{change.path[0]} is one for all points, so a sweep cannot change it")
        for other in changes[:index]:
            shared = min(len(change.path), len(other.path))
            if change.path[:shared] == other.path[:shared]:
                note(change.written, f"expected one value at a point, but {dotted(other.written)} sets it too")


def _claims(sweep: Any, note: Any) -> tuple[Claim, ...]:
    written = sweep.get("claim", []) if isinstance(sweep, dict) else []
    arms = list(_table(sweep, "arms")) if isinstance(sweep, dict) and "arms" in sweep else [BASELINE]
    try:
        claims = structure(written, tuple[Claim, ...], Registry.of(()))
    except Misfit as error:
        for path, message in error.problems:
            note(("sweep", "claim", *path), message)
        return ()
    for index, claim in enumerate(claims):
        for field in ("arm", "against"):
            if arms and (name := getattr(claim, field)) not in arms:
                note(("sweep", "claim", index, field), f"no arm is called {name!r}{nearest(name, arms)}")
    return claims


def _table(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The table of that name; an empty one if it is no table."""
    return value if isinstance(value := values.get(name), dict) else {}


def _one(document: Document, path: Key, into: Any, registry: Registry, note: Any) -> Any:
    """The value at `path` as `into`; None, and notes, if it does not fit."""
    value: Any = document.values
    for step in path:
        value = value[step]
    try:
        return structure(value, into, registry)
    except Misfit as error:
        for inside, message in error.problems:
            note((*path, *inside), message)
        return None


def _plan(document: Document, registry: Registry, note: Any) -> Plan | None:
    """The plan of one point; None, and notes, if something is wrong."""
    wrong: list[Key] = []

    def wrongly(path: Key, message: str) -> None:
        wrong.append(path)
        note(path, message)

    values = document.values
    name, seed = _name(values, wrongly), _seed(values, wrongly)
    if "experiment" not in values:
        wrongly((), f"expected a table [experiment], got none; installed: {', '.join(registry.names('experiment'))}")
        return None
    experiment = _one(document, ("experiment",), ExperimentSpec, registry, wrongly)
    if experiment is None:
        return None
    known = [*COMMON, "sweep", *experiment.roles]
    for key in values:
        if key not in known:
            wrongly((key,), f"unknown key{nearest(key, known)}")
    parts = {role: _part(document, role, what, registry, wrongly) for role, what in experiment.roles.items()}
    training = _training(document, experiment, registry, wrongly)
    sampling = _one(document, ("sampling",), Sampling, registry, wrongly) if "sampling" in values else Sampling()
    if wrong:
        return None
    tables = {"experiment": experiment, **parts, "sampling": sampling, "training": training}
    plan = Plan(
        name=name, seed=seed, experiment=experiment, parts=parts, training=training, sampling=sampling,
        document=_resolved(registry, cosmetic=True, name=name, seed=seed, **tables),
        identity=_resolved(registry, cosmetic=False, seed=seed, **tables),
    )  # fmt: skip
    for path, message in experiment.problems(plan):
        wrongly(undotted(path), message)
    return None if wrong else plan


def _name(values: Mapping[str, Any], note: Any) -> Any:
    name = values.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name) or name == RESERVED:
        got = "nothing" if name is None else shown(name)
        note(("name",), f"expected a name of letters, digits, '.', '_' and '-' other than {RESERVED!r}, got {got}")
    return name


def _seed(values: Mapping[str, Any], note: Any) -> Any:
    seed = values.get("seed", 0)
    if type(seed) is not int or not 0 <= seed < 2**63:
        note(("seed",), f"expected an integer from 0 up to 2**63, got {shown(seed)}")
    return seed


def _part(document: Document, role: str, what: Role, registry: Registry, note: Any) -> Spec | tuple[Spec, ...] | None:
    if role in document.values:
        base: Any = KINDS[what.kind]
        found: Spec | tuple[Spec, ...] | None = _one(
            document, (role,), tuple[base, ...] if what.many else base, registry, note
        )
        return found
    if not what.optional:
        form = f"[[{role}]]" if what.many else f"[{role}]"
        note((role,), f"expected a table {form}, got none; installed: {', '.join(registry.names(what.kind)) or 'none'}")
    return () if what.many else None


def _training(document: Document, experiment: ExperimentSpec, registry: Registry, note: Any) -> dict[str, Training]:
    tables = document.values.get("training", {})
    if not isinstance(tables, dict):
        note(("training",), f"expected a table for each stage, got {shown(tables)}")
        return {}
    for stage in tables:
        if stage not in experiment.stages:
            note(("training", stage), f"unknown stage{nearest(stage, list(experiment.stages))}")
    made = {}
    for stage, role in experiment.stages.items():
        use = _table(document.values, role).get("use")
        pretrained = _pretrained(experiment.roles[role].kind, use, registry)
        if stage in tables and pretrained:
            note(("training", stage), f"expected no table [training.{stage}], as {use!r} brings its weights, got one")
        elif stage in tables:
            made[stage] = _one(document, ("training", stage), Training, registry, note)
        elif role in document.values and not pretrained:
            note(("training", stage), f"expected a table [training.{stage}] with its steps, got none")
    return made


def _pretrained(kind: str, use: Any, registry: Registry) -> bool:
    """True if the component of that kind and name is a prior that brings its weights."""
    spec = registry.find(kind, use).spec if use in registry.names(kind) else Spec
    return issubclass(spec, PriorSpec) and spec.pretrained


def _resolved(
    registry: Registry, *, cosmetic: bool, name: str | None = None, seed: int, **tables: Any
) -> dict[str, Any]:
    """A spec file with every default written out; what is absent is left out."""
    told = {
        table: {stage: describe(made, registry, cosmetic=cosmetic) for stage, made in value.items()}
        if isinstance(value, dict)
        else describe(value, registry, cosmetic=cosmetic)
        for table, value in tables.items()
        if value not in (None, ())
    }
    return {**({"name": name} if name else {}), "seed": seed, **told}
