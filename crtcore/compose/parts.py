"""The tables of one point to a plan: experiment, parts, training, sampling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crtcore.compose.document import Document
from crtcore.compose.grid import _table, structured
from crtcore.compose.structure import Structurer, shown
from crtcore.compose.study import NAME, RESERVED
from crtcore.errors import Key, nearest
from crtcore.kinds import KINDS, ExperimentSpec, Plan, PriorSpec, Role
from crtcore.registry import Registry, describe
from crtcore.settings import Sampling, Training
from crtcore.spec import Spec

COMMON = ("name", "seed", "experiment", "training", "sampling", "executor")
"""Top-level keys that every spec file may have; the rest are the experiment's roles and `sweep`."""


def planned(document: Document, structure: Structurer, note: Any) -> Plan | None:
    """The plan of one point; None, and notes, if something is wrong."""
    registry = structure.registry
    wrong: list[Key] = []

    def wrongly(path: Key, message: str) -> None:
        wrong.append(path)
        note(path, message)

    values = document.values
    name, seed = _name(values, wrongly), _seed(values, wrongly)
    if "experiment" not in values:
        wrongly((), f"expected a table [experiment], got none; installed: {', '.join(registry.names('experiment'))}")
        return None
    experiment = structured(document, ("experiment",), ExperimentSpec, structure, wrongly)
    if experiment is None:
        return None
    known = [*COMMON, "sweep", *experiment.roles]
    for key in values:
        if key not in known:
            wrongly((key,), f"unknown key{nearest(key, known)}")
    parts = {role: _part(document, role, what, structure, wrongly) for role, what in experiment.roles.items()}
    training = _training(document, experiment, structure, wrongly)
    sampling = structured(document, ("sampling",), Sampling, structure, wrongly) if "sampling" in values else Sampling()
    if wrong:
        return None
    tables = {"experiment": experiment, **parts, "sampling": sampling, "training": training}
    plan = Plan(
        name=name, seed=seed, experiment=experiment, parts=parts, training=training, sampling=sampling,
        document={"name": name, **_resolved(registry, seed, tables, cosmetic=True)},
        identity=_resolved(registry, seed, tables, cosmetic=False),
    )  # fmt: skip
    for path, message in structure.answers.of_plan(plan):
        wrongly(path, message)
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


def _part(document: Document, role: str, what: Role, make: Structurer, note: Any) -> Spec | tuple[Spec, ...] | None:
    if role in document.values:
        base: Any = KINDS[what.kind]
        into = tuple[base, ...] if what.many else base
        part: Spec | tuple[Spec, ...] | None = structured(document, (role,), into, make, note)
        return part
    if not what.optional:
        form = f"[[{role}]]" if what.many else f"[{role}]"
        names = ", ".join(make.registry.names(what.kind))
        note((role,), f"expected a table {form}, got none; installed: {names or 'none'}")
    return () if what.many else None


def _training(document: Document, experiment: ExperimentSpec, structure: Structurer, note: Any) -> dict[str, Training]:
    tables = document.values.get("training", {})
    if not isinstance(tables, dict):
        note(("training",), f"expected a table for each stage, got {shown(tables)}")
        return {}
    for stage in tables:
        if stage not in experiment.stages:
            note(("training", stage), f"unknown stage{nearest(stage, list(experiment.stages))}")
    made: dict[str, Any] = {}
    for stage, role in experiment.stages.items():
        part = _table(document.values, role)
        pretrained = _pretrained(experiment.roles[role].kind, part, structure.registry)
        if stage in tables and pretrained and (role,) not in document.swapped:
            note(
                ("training", stage),
                f"expected no table [training.{stage}], as {part['use']!r} brings its weights, got one",
            )
        elif stage in tables:
            settings = structured(document, ("training", stage), Training, structure, note)
            made |= {} if pretrained else {stage: settings}
        elif role in document.values and not pretrained:
            note(("training", stage), f"expected a table [training.{stage}] with its steps, got none")
    return made


def _pretrained(kind: str, table: Mapping[str, Any], registry: Registry) -> bool:
    """True if a table of that kind holds a prior that brings its weights, or is laid around one."""
    use = table.get("use")
    spec = registry.find(kind, use).spec if use in registry.names(kind) else Spec
    mark = issubclass(spec, PriorSpec) and spec.pretrained
    return _pretrained(kind, _table(table, mark), registry) if isinstance(mark, str) else mark is True


def _resolved(registry: Registry, seed: int, tables: Mapping[str, Any], *, cosmetic: bool) -> dict[str, Any]:
    """A spec file with every default written out; what is absent is left out."""
    described = {
        table: {stage: describe(made, registry, cosmetic=cosmetic) for stage, made in value.items()}
        if isinstance(value, dict)
        else describe(value, registry, cosmetic=cosmetic)
        for table, value in tables.items()
        if value not in (None, ())
    }
    return {"seed": seed, **described}
