"""Schemas that xgrammar takes for one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crt_hf.schemas.ignored import Walk

SKIPPED = frozenset(
    {"title", "default", "description", "examples", "deprecated", "readOnly", "writeOnly", "$comment", "$schema"}
)
"""Keys that xgrammar 0.2.8 leaves out where it compares schemas, those of properties and of values too.

Source: cpp/json_schema_converter.cc, `SchemaParser::ComputeCacheKey`.
"""
MARK = "x-apart"
"""No keyword of a schema, so that it says nothing, but schemas differ by it."""


def keep_apart(walk: Walk) -> None:
    """Marks, in place, the schemas of a walk that have properties or values with such a key.

    Two that differ in them alone, such as in the type of a property `title`, would both be the first.
    """
    for schema, where in walk.read.values():
        named = [schema.get(name) for name in ("properties", "patternProperties")]
        keys = {key for each in named if isinstance(each, Mapping) for key in each}
        if keys & SKIPPED or any(_has(schema.get(name)) for name in ("const", "enum")):
            schema[MARK] = where


def _has(value: Any) -> bool:
    """Whether a value has such a key, at any depth."""
    if isinstance(value, Mapping):
        return not SKIPPED.isdisjoint(value) or any(_has(each) for each in value.values())
    return isinstance(value, Sequence) and not isinstance(value, str) and any(_has(each) for each in value)
