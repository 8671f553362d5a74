"""`crt schema`: the JSON Schema of spec files, so that editors complete and check them.

It has two layers: the keys that a file may have, and those that it must have unless it `extends` another.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
import msgspec

from crt_run.cli.fields import fields_of
from crt_run.cli.language import BY_NAME, KEYS, NAMED
from crtcore.compose.study import Claim
from crtcore.hooks import Component
from crtcore.kinds import KINDS, ExperimentSpec, PriorSpec, Role
from crtcore.registry import Registry
from crtcore.settings import Sampling, Training

DRAFT = "http://json-schema.org/draft-07/schema#"
_AT = "#/definitions/"


def schema(registry: Registry) -> dict[str, Any]:
    """The schema of every spec file that the installed components allow; inherited keys are not required."""
    components = [component for _, component in registry]
    specs: list[type[Any]] = [component.spec for component in components]
    settings = {key.table for key in KEYS if key.table}
    tables = [*specs, *KINDS.values(), *settings]
    references, definitions = msgspec.json.schema_components(tables, ref_template=f"{_AT}{{name}}")
    at = {table: reference["$ref"] for table, reference in zip(tables, references, strict=True)}
    made: dict[str, Any] = {name: _table(definition) for name, definition in definitions.items()}
    for table in (*specs, *settings):
        made[at[table].removeprefix(_AT)] = _described(made[at[table].removeprefix(_AT)], table, registry)
    for component in components:
        use = {"const": component.name, "description": component.summary}
        table = made[at[component.spec].removeprefix(_AT)]
        made[at[component.spec].removeprefix(_AT)] = {**table, "properties": {"use": use, **table["properties"]}}
    for kind, base in KINDS.items():
        choices = [registry.find(kind, name) for name in registry.names(kind)]
        made[kind] = {"anyOf": [{"$ref": at[choice.spec]} for choice in choices]} if choices else False
        made[at[base].removeprefix(_AT)] = {"$ref": f"{_AT}{kind}"}
        made[f"whole-{kind}"] = _whole(choices)
    made["weighted"] = _weighted(registry)
    return {
        "$schema": DRAFT,
        "type": "object",
        "properties": {
            **{key.name: {"description": key.summary, **key.form} for key in KEYS if key.form},
            "experiment": {"$ref": f"{_AT}experiment"},
            "executor": {"$ref": f"{_AT}executor"},
            "sampling": {"$ref": at[Sampling]},
            "sweep": {"description": BY_NAME["sweep"].summary, **_sweep(at[Claim])},
            **_experiments(registry, at[Training]),
        },
        "additionalProperties": False,
        "if": {"not": {"required": ["extends"]}},
        "then": _demanded(registry),
        "definitions": made,
    }


def _table(definition: dict[str, Any]) -> dict[str, Any]:
    """A definition in draft 7 that allows no other keys and requires none."""
    properties = {name: _draft_7(field) for name, field in definition.get("properties", {}).items()}
    kept = {name: value for name, value in definition.items() if name != "required"}
    return {**kept, "properties": properties, "additionalProperties": False}


def _draft_7(field: dict[str, Any]) -> dict[str, Any]:
    if "prefixItems" not in field:
        return field
    kept = {name: value for name, value in field.items() if name not in ("prefixItems", "items")}
    return {**kept, "items": field["prefixItems"], "additionalItems": False}


def _described(definition: dict[str, Any], table: type[Any], registry: Registry) -> dict[str, Any]:
    """A definition whose fields have their ranges and texts."""
    texts = {field.name: ". ".join(filter(None, (field.range, field.text))) for field in fields_of(table, registry)}
    fields = {
        name: {**field, "description": texts[name]} if texts.get(name) else field
        for name, field in definition["properties"].items()
    }
    return {**definition, "properties": fields}


def _whole(choices: list[Component]) -> dict[str, Any]:
    """The keys that a table of one kind requires if nothing is inherited."""
    needs = {choice.name: required for choice in choices if (required := _required(choice.spec))}
    return {
        "type": "object",
        "required": ["use"],
        **_all(
            {"if": {"properties": {"use": {"const": name}}}, "then": {"required": fields}}
            for name, fields in needs.items()
        ),
    }


def _all(schemas: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """All of `schemas`; draft 7 allows no empty `allOf`."""
    return {"allOf": listed} if (listed := list(schemas)) else {}


def _required(table: type[Any]) -> list[str]:
    return [field.name for field in attrs.fields(table) if field.default is attrs.NOTHING]


def _sweep(claim: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "arms": {
                "type": "object",
                "description": BY_NAME["arms"].summary,
                "propertyNames": NAMED,
                "additionalProperties": {"type": "object"},
                "minProperties": 1,
            },
            "claim": {"type": "array", "items": {"allOf": [{"$ref": claim}, {"required": _required(Claim)}]}},
        },
        "additionalProperties": {"type": ["array", "object"], "minItems": 1, "description": BY_NAME["axes"].summary},
    }


def _experiments(registry: Registry, training: str) -> dict[str, Any]:
    """The tables of the installed experiments."""
    forms: dict[str, list[dict[str, Any]]] = {}
    stages: dict[str, Any] = {}
    for spec in _installed(registry).values():
        for role, what in spec.roles.items():
            if (form := _role(what)) not in forms.setdefault(role, []):
                forms[role].append(form)
        stages |= {stage: {"$ref": training} for stage in spec.stages}
    roles = {role: each[0] if len(each) == 1 else {"anyOf": each} for role, each in forms.items()}
    return {**roles, "training": {"type": "object", "properties": stages, "additionalProperties": False}}


def _installed(registry: Registry) -> dict[str, type[ExperimentSpec]]:
    specs = {name: registry.find("experiment", name).spec for name in registry.names("experiment")}
    return {name: spec for name, spec in specs.items() if issubclass(spec, ExperimentSpec)}


def _role(what: Role, prefix: str = "") -> dict[str, Any]:
    one = {"$ref": f"{_AT}{prefix}{what.kind}"}
    return {"type": "array", "items": one} if what.many else one


def _demanded(registry: Registry) -> dict[str, Any]:
    """The keys that a file requires if it extends no other."""
    return {
        "required": ["name", "experiment"],
        "properties": {name: {"$ref": f"{_AT}whole-{name}"} for name in ("experiment", "executor")},
        **_all(
            {
                "if": {"properties": {"experiment": {"properties": {"use": {"const": name}}}}},
                "then": _required_by(spec, registry),
            }
            for name, spec in _installed(registry).items()
        ),
    }


def _required_by(spec: type[ExperimentSpec], registry: Registry) -> dict[str, Any]:
    steps = {stage: {"required": _required(Training)} for stage in spec.stages}
    return {
        "required": [role for role, what in spec.roles.items() if not what.optional],
        "properties": {
            **{role: _role(what, "whole-") for role, what in spec.roles.items()},
            "training": {"properties": steps},
        },
        **_all(
            {
                "if": {"required": [role], "properties": {role: {"$ref": f"{_AT}weighted"}}},
                "then": {"properties": {"training": {"not": {"required": [stage]}}}},
                "else": {
                    "if": {"required": [role]},
                    "then": {"required": ["training"], "properties": {"training": {"required": [stage]}}},
                },
            }
            for stage, role in spec.stages.items()
        ),
    }


def _weighted(registry: Registry) -> dict[str, Any]:
    """The tables of priors that no stage trains: those that bring their weights, and those laid around one."""
    specs = {name: registry.find("prior", name).spec for name in registry.names("prior")}
    marks = {name: spec.pretrained for name, spec in specs.items() if issubclass(spec, PriorSpec)}
    own = {
        "type": "object",
        "required": ["use"],
        "properties": {"use": {"enum": [n for n in marks if marks[n] is True]}},
    }
    laid = [
        {
            "type": "object",
            "required": ["use", mark],
            "properties": {"use": {"const": name}, mark: {"$ref": f"{_AT}weighted"}},
        }
        for name, mark in marks.items()
        if isinstance(mark, str)
    ]
    return {"anyOf": [own, *laid]}
