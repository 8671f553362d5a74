"""Snippets of components: a table to paste, and for an experiment a whole small spec file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import attrs

from crt_run.cli.fields import Field, fields_of, inline
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.errors import Key, SpecError
from crtcore.hooks import Component
from crtcore.kinds import ExperimentSpec, PriorSpec, Role
from crtcore.registry import Registry, describe
from crtcore.spec import names_files

TRIES = 400
"""Choices of parts that are checked at most until they fit together."""
TRAINING = {"steps": 20, "batch": 16}
_DEMANDED = re.compile(r"expected ('[^']*'|[0-9.]+), ")
"""A problem that names the one value that fits."""


def minimal(component: Component, registry: Registry) -> dict[str, Any]:
    """The table of a component with what it requires alone, the values as in its first example."""
    example = describe(component.examples[0], registry)
    required = [each.name for each in attrs.fields(component.spec) if each.default is attrs.NOTHING]
    return {"use": component.name} | {name: example[name] for name in required}


def table(role: str, component: Component, registry: Registry, *, many: bool) -> str:
    """A table of a component: what it requires, and its defaults in comments."""
    fields = fields_of(component.spec, registry, component.examples[0])
    values = minimal(component, registry)
    lines = [f"[[{role}]]" if many else f"[{role}]"]
    lines += [f"{name} = {inline(value)}" for name, value in values.items() if not isinstance(value, dict)]
    lines += [f"# {name} = {inline(default)}" for name, default in _defaults(fields)]
    for name, value in values.items():
        if isinstance(value, dict):
            lines += ["", *_nested(f"{role}.{name}", value)]
    return "\n".join(lines) + "\n"


def _defaults(fields: list[Field]) -> Iterator[tuple[str, Any]]:
    """Those that fit a line: a table of settings has its own entry in the reference."""
    shown = (each for each in fields if not each.required and each.default is not None)
    yield from ((each.name, each.default) for each in shown if not isinstance(each.default, dict))


def _nested(path: str, values: dict[str, Any]) -> Iterator[str]:
    yield f"[{path}]"
    yield from (f"{name} = {inline(each)}" for name, each in values.items() if not isinstance(each, dict))
    for name, each in values.items():
        if isinstance(each, dict):
            yield ""
            yield from _nested(f"{path}.{name}", each)


def place(component: Component, registry: Registry) -> tuple[str, bool]:
    """The table of spec files that holds such a component, and whether it is an array of tables."""
    if component.kind in ("experiment", "executor"):
        return component.kind, False
    roles = [each for experiment in experiments(registry) for each in _roles(experiment).items()]
    fitting = [(name, role.many) for name, role in roles if role.kind == component.kind]
    named = [many for name, many in fitting if name == component.kind]
    return (
        (component.kind, 2 * sum(named) > len(named)) if named else fitting[0] if fitting else (component.kind, False)
    )


def experiments(registry: Registry) -> list[Component]:
    """The installed experiments."""
    return [registry.find("experiment", name) for name in registry.names("experiment")]


def _roles(experiment: Component) -> dict[str, Role]:
    return dict(experiment.spec.roles) if issubclass(experiment.spec, ExperimentSpec) else {}


def whole(experiment: Component, registry: Registry) -> str | None:
    """A small spec file that runs an experiment with parts that fit; None if no choice of parts fits."""
    values = chosen(experiment, registry)
    if values is None:
        return None
    lines = [f"name = {inline(values['name'])}"]
    for role, tables in values.items():
        if role == "name":
            continue
        for each in tables if isinstance(tables, list) else [tables]:
            body = list(_nested(role, each))
            lines += ["", f"[[{role}]]" if isinstance(tables, list) else body[0], *body[1:]]
    return re.sub(r"\[training\]\n\n", "", "\n".join(lines)) + "\n"


def chosen(experiment: Component, registry: Registry) -> dict[str, Any] | None:
    """The tables of a small spec file for an experiment; None if no choice of parts fits."""
    spec = experiment.spec
    assert issubclass(spec, ExperimentSpec)
    left = {role: _candidates(what.kind, experiment, registry) for role, what in spec.roles.items()}
    at = {role: 0 for role, what in spec.roles.items() if not what.optional}
    demanded: dict[Key, Any] = {}
    for _ in range(TRIES):
        if any(at[role] >= len(left[role]) for role in at):
            return None
        values = _values(experiment, registry, {role: left[role][index] for role, index in at.items()})
        document = Document(values, {})
        for path, value in demanded.items():
            document.put(path, value, "")
        try:
            study(document, registry)
        except SpecError as error:
            problem = error.problems[0]
            if (value := _DEMANDED.match(problem.message)) and problem.path not in demanded:
                demanded[problem.path] = tomllib.loads(f"x = {value.group(1)}")["x"]
                continue
            first = [step for step in problem.path if isinstance(step, str)]
            role = spec.stages.get(first[1], "") if first[0] == "training" and len(first) > 1 else first[0]
            role = role if role in spec.roles else "dataset"
            if role not in spec.roles:
                return None
            _advance(at, role, left)
        else:
            return values
    return None


def _advance(at: dict[str, int], role: str, left: dict[str, list[Component]]) -> None:
    """Takes the next candidate of a role; after its last one, its first and the next dataset."""
    at[role] = at.get(role, -1) + 1
    if at[role] == len(left[role]) and role != "dataset" and "dataset" in at:
        at[role] = 0
        at["dataset"] += 1


def _candidates(kind: str, experiment: Component, registry: Registry) -> list[Component]:
    """Components of a kind: first those that read no files, need no weights, hold no other and are the experiment's."""
    owner = registry.owner(experiment.spec)[0]

    def order(component: Component) -> tuple[bool, bool, bool, bool]:
        example = component.examples[0]
        reads = any(names_files(each, getattr(example, each.name)) for each in attrs.fields(component.spec))
        weighted = issubclass(component.spec, PriorSpec) and component.spec.pretrained is not False
        nested = any(isinstance(value, dict) for value in minimal(component, registry).values())
        foreign = registry.owner(component.spec)[0] != owner
        return reads or hasattr(component.spec, "located"), weighted, nested, foreign

    return sorted((registry.find(kind, name) for name in registry.names(kind)), key=order)


def _values(experiment: Component, registry: Registry, parts: dict[str, Component]) -> dict[str, Any]:
    spec = experiment.spec
    assert issubclass(spec, ExperimentSpec)
    values: dict[str, Any] = {"name": "small", "experiment": minimal(experiment, registry)}
    for role, component in parts.items():
        made = minimal(component, registry)
        values[role] = [made] if spec.roles[role].many else made
    stages = {stage: dict(TRAINING) for stage, role in spec.stages.items() if role in parts}
    return values | ({"training": stages} if stages else {})
