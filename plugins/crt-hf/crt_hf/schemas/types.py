"""Which JSON types a schema allows, and whether two schemas have no value in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

Schema = Mapping[str, Any]

ALL = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
"""The names of types; a number may be an integer."""
OBJECTS = ("properties", "additionalProperties", "unevaluatedProperties")
ARRAYS = ("items", "prefixItems", "unevaluatedItems")
"""Keywords by which xgrammar knows the type of a schema that names none."""
DEEPEST = 16
"""Schemas inside one another that are looked into: one may refer to itself."""


def target(root: Any, uri: Any) -> Any:
    """What a `$ref` refers to as xgrammar reads it, without escapes; None if it is not inside the document."""
    if not isinstance(uri, str) or not (uri == "#" or uri.startswith("#/")):
        return None
    for part in filter(None, uri[2:].split("/")):
        if not isinstance(root, Mapping) or part not in root:
            return None
        root = root[part]
    return root


def own_types(schema: Schema, default: str | None = None) -> list[str]:
    """The types that xgrammar takes a schema's own keywords for; none if they do not show one."""
    named = schema.get("type", default)
    if isinstance(named, str):
        return [named]
    if isinstance(named, list):
        return [each for each in named if isinstance(each, str)]
    if any(each in schema for each in OBJECTS):
        return ["object"]
    return ["array"] if any(each in schema for each in ARRAYS) else []


def values(schema: Any) -> list[Any] | None:
    """The values of a `const` or an `enum`; None if a schema has neither."""
    if not isinstance(schema, Mapping) or "$ref" in schema:
        return None
    if "const" in schema:
        return [schema["const"]]
    return schema["enum"] if isinstance(schema.get("enum"), list) else None


def types(root: Any, schema: Any, depth: int = 0) -> frozenset[str]:
    """The types of what xgrammar allows for a schema; all, if it does not say."""
    if not isinstance(schema, Mapping) or depth == DEEPEST:
        return ALL
    if "$ref" in schema:
        return types(root, target(root, schema["$ref"]), depth + 1)
    if (known := values(schema)) is not None:
        return frozenset(map(_type, known))
    for form in ("anyOf", "oneOf", "allOf"):
        if form in schema:
            each = schema[form]
            if not isinstance(each, list) or (form == "allOf" and len(each) != 1):
                return ALL
            return frozenset().union(*(types(root, one, depth + 1) for one in each))
    return frozenset(own_types(schema)) or ALL


def within(some: frozenset[str], allowed: frozenset[str]) -> bool:
    """Whether all types are among the allowed ones."""
    return all(each in allowed or (each == "integer" and "number" in allowed) for each in some)


def disjoint(root: Any, one: Any, other: Any, depth: int = 0) -> bool:
    """Whether no value fits both, by their types, their values, or a property that both require."""
    if depth == DEEPEST:
        return False
    one, other = (_resolved(root, each) for each in (one, other))
    kinds = [{"number" if each == "integer" else each for each in types(root, schema)} for schema in (one, other)]
    if not kinds[0] & kinds[1]:
        return True
    first, second = values(one), values(other)
    if first is not None and second is not None:
        return all(a != b for a, b in product(first, second))
    if kinds != [{"object"}, {"object"}]:
        return False
    required = set(_names(one)) & set(_names(other))
    return any(disjoint(root, one["properties"][name], other["properties"][name], depth + 1) for name in required)


def _resolved(root: Any, schema: Any) -> Any:
    for _ in range(DEEPEST):
        if not isinstance(schema, Mapping) or "$ref" not in schema:
            break
        schema = target(root, schema["$ref"])
    return schema


def _names(schema: Any) -> Sequence[str]:
    """Properties that a schema of an object requires and describes."""
    described, required = schema.get("properties"), schema.get("required")
    if not isinstance(described, Mapping) or not isinstance(required, list):
        return ()
    return [each for each in required if isinstance(each, str) and each in described]


def _type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "integer" if float(value).is_integer() else "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"
