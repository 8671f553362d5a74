"""`crt schema`: JSON Schema of spec files, so that editors complete and check them."""

from __future__ import annotations

from typing import Any

import msgspec

from crtcore.cli.describe import field_texts
from crtcore.kinds import KINDS, ExperimentSpec, Role
from crtcore.registry import Registry
from crtcore.settings import Sampling, Training

DRAFT = "http://json-schema.org/draft-07/schema#"


def schema(registry: Registry) -> dict[str, Any]:
    """The schema of every spec file that the installed components allow; what a file inherits is not demanded of it."""
    tables: list[type[Any]] = [component.spec for _, component in registry]
    _, definitions = msgspec.json.schema_components([*tables, Training, Sampling], ref_template="#/definitions/{name}")
    made: dict[str, Any] = {name: _closed(definition) for name, definition in definitions.items()}
    for _, component in registry:
        table = made[component.spec.__name__]
        for field, text in field_texts(component.spec).items():
            table["properties"][field]["description"] = text
        table["properties"] = {
            "use": {"const": component.name, "description": component.summary},
            **table["properties"],
        }
        table["required"] = ["use", *table.get("required", ())]
    for kind in KINDS:
        choices = [registry.find(kind, name).spec.__name__ for name in registry.names(kind)]
        made[kind] = {"oneOf": [{"$ref": f"#/definitions/{choice}"} for choice in choices]} if choices else False
    properties = {
        "name": {"type": "string"},
        "seed": {"type": "integer", "minimum": 0},
        "extends": {"type": "string"},
        "experiment": {"$ref": "#/definitions/experiment"},
        "executor": {"$ref": "#/definitions/executor"},
        "sampling": {"$ref": "#/definitions/Sampling"},
        "sweep": {"type": "object"},
        **_experiments(registry),
    }
    return {
        "$schema": DRAFT,
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "definitions": made,
    }


def _closed(definition: dict[str, Any]) -> dict[str, Any]:
    return {**definition, "additionalProperties": False}


def _experiments(registry: Registry) -> dict[str, Any]:
    """The tables that the installed experiments read."""
    found: dict[str, Any] = {}
    stages: dict[str, Any] = {}
    for name in registry.names("experiment"):
        spec = registry.find("experiment", name).spec
        assert issubclass(spec, ExperimentSpec)
        found |= {role: _role(what) for role, what in spec.roles.items()}
        stages |= {stage: {"$ref": "#/definitions/Training"} for stage in spec.stages}
    return {**found, "training": {"type": "object", "properties": stages, "additionalProperties": False}}


def _role(what: Role) -> dict[str, Any]:
    one = {"$ref": f"#/definitions/{what.kind}"}
    return {"type": "array", "items": one} if what.many else one
