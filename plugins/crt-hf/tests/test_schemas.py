"""Where keywords of a JSON schema are looked for."""

from __future__ import annotations

from typing import Any

import pytest

from crt_hf.schemas.ignored import Walk

IGNORED = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
NAMED = {name: {"type": "boolean"} for name in ("uniqueItems", "not", "multipleOf", "contains", "if", "allOf")}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": NAMED, "required": list(NAMED)},
        {"$ref": "#/$defs/not", "$defs": NAMED},
        {"enum": [{"not": 1, "uniqueItems": True}, IGNORED]},
        {"const": IGNORED},
        {"type": "string", "default": IGNORED, "examples": [IGNORED], "title": "not"},
        {"type": "string", "uniqueItems": True, "multipleOf": 3, "contains": False, "required": ["a"]},
        {"type": "string", "$defs": {"nobody": IGNORED}},
        {"type": "object", "properties": {"inside": {"$ref": "#"}}},
        True,
        False,
    ],
)
def test_names_data_and_what_is_of_another_type_are_no_keywords(schema: Any) -> None:
    assert Walk(schema).ignored == {}


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        (IGNORED, "#"),
        ({"type": "object", "properties": {"a": IGNORED}}, "#/properties/a"),
        ({"type": "object", "properties": {"a/b~": IGNORED}}, "#/properties/a~1b~0"),
        ({"type": "object", "patternProperties": {"^a": IGNORED}}, "#/patternProperties/^a"),
        ({"type": "object", "additionalProperties": IGNORED}, "#/additionalProperties"),
        ({"type": "object", "unevaluatedProperties": IGNORED}, "#/unevaluatedProperties"),
        ({"type": "array", "items": IGNORED}, "#/items"),
        ({"type": "array", "unevaluatedItems": IGNORED}, "#/unevaluatedItems"),
        ({"type": "array", "prefixItems": [{"type": "null"}, IGNORED]}, "#/prefixItems/1"),
        ({"anyOf": [{"type": "null"}, IGNORED]}, "#/anyOf/1"),
        ({"oneOf": [{"type": "null"}, IGNORED]}, "#/oneOf/1"),
        ({"allOf": [IGNORED]}, "#/allOf/0"),
        ({"$ref": "#/$defs/a", "$defs": {"a": IGNORED}}, "#/$defs/a"),
        ({"$ref": "#/definitions/a", "definitions": {"a": IGNORED}}, "#/definitions/a"),
        ({"$ref": "#/components/schemas/a", "components": {"schemas": {"a": IGNORED}}}, "#/components/schemas/a"),
    ],
)
def test_schemas_are_looked_for_wherever_they_may_be(schema: Any, place: str) -> None:
    (one,) = Walk(schema).ignored.values()

    assert one.where == f"{place}/uniqueItems"
    assert str(one).endswith("uniqueItems: xgrammar ignores it everywhere; leave it out, and check the texts by it")


def test_all_that_is_ignored_is_named() -> None:
    schema = {"type": "object", "properties": {"a": IGNORED, "b": {"type": "number", "multipleOf": 2}}, "not": {}}

    assert list(Walk(schema).ignored) == ["#/not", "#/properties/a/uniqueItems", "#/properties/b/multipleOf"]


@pytest.mark.parametrize(
    "schema",
    [
        3,
        {"type": 3},
        {"type": "object", "properties": [1], "patternProperties": 3, "required": 3, "propertyNames": 3},
        {"type": "array", "prefixItems": 3, "items": [1]},
        {"type": "integer", "multipleOf": "a", "minimum": "b"},
        {"anyOf": 3},
        {"oneOf": 3},
        {"$ref": 3},
        {"$ref": "#/$defs/nothing"},
        {"enum": 3},
    ],
)
def test_what_is_no_schema_is_left_to_xgrammar(schema: Any) -> None:
    assert Walk(schema).ignored == {}
