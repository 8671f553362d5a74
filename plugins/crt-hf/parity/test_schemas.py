"""What xgrammar keeps of JSON schemas, and what it ignores, beside what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from xgrammar import Grammar
from xgrammar.testing import _is_grammar_accept_string

from crt_hf.schemas.apart import keep_apart
from crt_hf.schemas.ignored import FORMATS, Walk

WHOLE, NUMBER, TEXT = {"type": "integer"}, {"type": "number"}, {"type": "string"}
ARRAY, OBJECT = {"type": "array", "items": WHOLE}, {"type": "object"}
PAIR = {"a": WHOLE, "b": WHOLE}


def fits(schema: Any, text: str) -> bool:
    return bool(_is_grammar_accept_string(Grammar.from_json_schema(json.dumps(schema)), text))


@pytest.mark.parametrize(
    ("schema", "keyword", "text"),
    [
        (NUMBER | {"multipleOf": 0.5}, "multipleOf", "0.3"),
        (WHOLE | {"multipleOf": 1.5}, "multipleOf", "2"),
        (WHOLE | {"multipleOf": 2000}, "multipleOf", "7"),
        (WHOLE | {"multipleOf": 5, "minimum": 1}, "multipleOf", "7"),
        (WHOLE | {"multipleOf": 5, "minimum": 0, "maximum": 10_000}, "multipleOf", "7"),
        (WHOLE | {"multipleOf": 5, "exclusiveMinimum": 0, "exclusiveMaximum": 10_002}, "multipleOf", "7"),
        ({"type": ["null", "number"], "multipleOf": 2}, "multipleOf", "3"),
        (TEXT | {"pattern": "^a+$", "minLength": 3}, "minLength", '"a"'),
        (TEXT | {"pattern": "^a+$", "maxLength": 1}, "maxLength", '"aa"'),
        (TEXT | {"format": "date", "maxLength": 1}, "maxLength", '"2020-01-01"'),
        (TEXT | {"format": "date", "pattern": "^x$"}, "pattern", '"2020-01-01"'),
        (TEXT | {"format": "regex"}, "format", '"("'),
        (TEXT | {"pattern": "^(?!a).$"}, "pattern", '"a"'),
        (TEXT | {"pattern": "a^b"}, "pattern", '"ab"'),
        (TEXT | {"pattern": "^a$b"}, "pattern", '"ab"'),
        (TEXT | {"format": "idn-email"}, "format", '"x"'),
        (ARRAY | {"uniqueItems": True}, "uniqueItems", "[1, 1]"),
        (ARRAY | {"contains": {"const": 1}}, "contains", "[2]"),
        (ARRAY | {"contains": WHOLE, "minContains": 1}, "contains", "[1]"),
        (ARRAY | {"contains": WHOLE, "maxContains": 1}, "maxContains", "[1, 2]"),
        (OBJECT | {"required": ["a"]}, "required", "{}"),
        (OBJECT | {"properties": PAIR, "required": ["c"], "additionalProperties": True}, "required", '{"a": 1}'),
        (OBJECT | {"properties": PAIR, "dependentRequired": {"a": ["b"]}}, "dependentRequired", '{"a": 1}'),
        (OBJECT | {"properties": PAIR, "dependencies": {"a": ["b"]}}, "dependencies", '{"a": 1}'),
        (OBJECT | {"properties": PAIR, "dependentSchemas": {"a": False}}, "dependentSchemas", '{"a": 1}'),
        (
            OBJECT | {"properties": PAIR, "patternProperties": {"^x$": WHOLE}, "additionalProperties": TEXT},
            "patternProperties", '{"x": "a"}',
        ),
        (OBJECT | {"properties": PAIR, "patternProperties": {"^a$": TEXT}}, "patternProperties", '{"a": 1}'),
        (OBJECT | {"patternProperties": {"^a.$": TEXT, "^.b$": WHOLE}}, "patternProperties", '{"ab": 1}'),
        (OBJECT | {"patternProperties": {"^xx$": WHOLE}, "propertyNames": {"maxLength": 1}}, "propertyNames",
         '{"xx": 1}'),
        (OBJECT | {"properties": PAIR, "propertyNames": {"pattern": "^x$"}}, "propertyNames", '{"a": 1}'),
        (OBJECT | {"propertyNames": {"enum": ["a", 1]}}, "propertyNames", "{1: 1}"),
        (OBJECT | {"propertyNames": {"pattern": "^x$"}, "additionalProperties": False}, "additionalProperties",
         '{"x": 1}'),
        (OBJECT | {"propertyNames": {"pattern": "^x$"}, "unevaluatedProperties": False}, "unevaluatedProperties",
         '{"x": 1}'),
        ({"minimum": 3}, "minimum", "1"),
        ({"pattern": "^a$"}, "pattern", '"b"'),
        ({"required": ["a"]}, "required", "{}"),
        ({"minItems": 1}, "minItems", "[]"),
        ({"patternProperties": {"x": WHOLE}}, "patternProperties", '{"x": "a"}'),
        ({"not": WHOLE}, "not", "1"),
        (OBJECT | {"properties": PAIR, "if": True, "then": {"minProperties": 1}}, "then", "{}"),
        (OBJECT | {"properties": PAIR, "if": False, "else": {"minProperties": 1}}, "else", "{}"),
        ({"$dynamicRef": "#a", "$defs": {"a": WHOLE | {"$dynamicAnchor": "a"}}}, "$dynamicRef", '"x"'),
        ({"$ref": "#a", "$defs": {"a": WHOLE | {"$anchor": "a"}}}, "$ref", '"x"'),
        ({"$ref": "#/$defs/a", "minimum": 3, "$defs": {"a": WHOLE}}, "minimum", "1"),
        ({"const": 1, "type": "string"}, "type", "1"),
        ({"enum": ["a", "bb"], "minLength": 2}, "minLength", '"a"'),
        ({"enum": ["a"], "const": "b"}, "enum", '"b"'),
        ({"anyOf": [WHOLE, TEXT], "type": "string"}, "type", "1"),
        ({"anyOf": [{"required": ["a"]}], "type": "object", "properties": PAIR}, "properties", '{"a": "x"}'),
        ({"anyOf": [WHOLE, TEXT], "oneOf": [TEXT]}, "oneOf", "1"),
        ({"oneOf": [WHOLE, WHOLE | {"minimum": 3}]}, "oneOf", "4"),
        ({"oneOf": [{"enum": [1, 2]}, {"enum": [2, 3]}]}, "oneOf", "2"),
        ({"allOf": [WHOLE, WHOLE | {"minimum": 3}]}, "allOf", '"a"'),
        ({"allOf": [WHOLE], "minimum": 3}, "minimum", "1"),
    ],
)  # fmt: skip
def test_a_text_breaks_each_keyword_that_is_refused(schema: Any, keyword: str, text: str) -> None:
    assert fits(schema, text)
    assert f"#/{keyword}" in Walk(schema).ignored


def tagged(tag: str) -> dict[str, Any]:
    return OBJECT | {"properties": {"tag": TEXT | {"const": tag}, "a": WHOLE}, "required": ["tag"]}


@pytest.mark.parametrize(
    ("schema", "text", "other"),
    [
        (WHOLE | {"multipleOf": 5}, "-10", "7"),
        (WHOLE | {"multipleOf": 1024.0}, "1024", "7"),
        (WHOLE | {"multipleOf": 5, "minimum": 0, "exclusiveMaximum": 10_000}, "9995", "7"),
        (WHOLE | {"minimum": 3, "exclusiveMinimum": 7, "maximum": 12, "exclusiveMaximum": 99}, "8", "7"),
        (NUMBER | {"minimum": 0.5, "maximum": 1.25}, "1.25", "1.250001"),
        (NUMBER | {"exclusiveMinimum": 0}, "0.1", "0"),
        (NUMBER | {"minimum": 2.1234567}, "2.123457", "2.1234566"),
        (TEXT | {"minLength": 2, "maxLength": 3}, '"ab"', '"a"'),
        (TEXT | {"pattern": "^(a|[$^](?:b|c))$"}, '"$c"', '"b"'),
        (TEXT | {"pattern": "^a$|^b$", "minLength": 0}, '"b"', '"ab"'),
        (TEXT | {"format": "password", "minLength": 2}, '"ab"', '"a"'),
        (TEXT | {"format": "binary", "pattern": "^a$"}, '"a"', '"b"'),
        (TEXT | {"format": "uuid"}, '"00000000-0000-0000-0000-00000000000f"', '"1"'),
        (ARRAY | {"minItems": 1, "maxItems": 2, "uniqueItems": False}, "[1]", "[]"),
        (ARRAY | {"prefixItems": [TEXT], "minItems": 2}, '["a", 1]', '["a", "b"]'),
        ({"type": "array", "prefixItems": [TEXT], "unevaluatedItems": WHOLE}, '["a", 1]', '["a", "b"]'),
        ({"items": WHOLE, "minItems": 1}, "[1]", "[]"),
        (OBJECT | {"properties": PAIR, "required": ["a"]}, '{"a": 1}', '{"b": 1}'),
        (OBJECT | {"properties": PAIR, "additionalProperties": TEXT}, '{"c": "x"}', '{"c": 1}'),
        (OBJECT | {"properties": PAIR, "unevaluatedProperties": TEXT}, '{"c": "x"}', '{"c": 1}'),
        (OBJECT | {"properties": PAIR, "minProperties": 1, "maxProperties": 1}, '{"a": 1}', '{"a": 1, "b": 1}'),
        (OBJECT | {"properties": PAIR, "patternProperties": {"^x$": TEXT}}, '{"x": "a"}', '{"x": 1}'),
        (OBJECT | {"patternProperties": {"^x$": WHOLE, "^y$": WHOLE}}, '{"y": 1}', '{"z": 1}'),
        (OBJECT | {"propertyNames": {"maxLength": 1}, "additionalProperties": WHOLE}, '{"a": 1}', '{"aa": 1}'),
        (OBJECT | {"propertyNames": {"enum": ["a", "b"]}}, '{"a": 1}', '{"c": 1}'),
        ({"type": ["integer", "string"], "minimum": 3, "minLength": 2}, '"ab"', "1"),
        ({"enum": ["a", None], "type": ["string", "null"]}, "null", '"b"'),
        ({"$ref": "#/$defs/a", "type": "number", "title": "t", "$defs": {"a": WHOLE}}, "1", '"a"'),
        ({"anyOf": [WHOLE, TEXT], "default": 1}, "1", "null"),
        ({"allOf": [WHOLE]}, "1", '"a"'),
        ({"oneOf": [WHOLE | {"minimum": 3}, TEXT, {"const": None}]}, "null", "2"),
        ({"oneOf": [{"$ref": "#/$defs/a"}, tagged("b")], "$defs": {"a": tagged("a")}}, '{"tag": "b"}', '{"a": 1}'),
    ],
)
def test_what_is_not_refused_is_kept(schema: Any, text: str, other: str) -> None:
    assert Walk(schema).ignored == {}
    assert fits(schema, text)
    assert not fits(schema, other)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_that_is_not_refused_is_kept(name: str) -> None:
    assert Walk(TEXT | {"format": name}).ignored == {}
    assert not fits(TEXT | {"format": name}, '"\\u0000"')


def titled(of: Any) -> dict[str, Any]:
    return OBJECT | {"properties": {"title": of}, "required": ["title"]}


@pytest.mark.parametrize(
    ("one", "other", "text"),
    [
        (titled(WHOLE), titled(TEXT), '[{"title": 1}, {"title": "a"}]'),
        ({"const": [{"default": 1}]}, {"const": [{"default": 2}]}, '[[{"default":1}], [{"default":2}]]'),
        ({"enum": [{"a": {"title": 1}}]}, {"enum": [{"a": {"title": 2}}]}, '[{"a":{"title":1}}, {"a":{"title":2}}]'),
        ({"items": titled(WHOLE)}, {"items": titled(TEXT)}, '[[{"title": 1}], [{"title": "a"}]]'),
        (
            OBJECT | {"patternProperties": {"title": WHOLE}}, OBJECT | {"patternProperties": {"title": TEXT}},
            '[{"title": 1}, {"title": "a"}]',
        ),
    ],
)  # fmt: skip
def test_schemas_that_differ_in_a_property_named_title_are_kept_apart(one: Any, other: Any, text: str) -> None:
    schema = {"type": "array", "prefixItems": [one, other], "minItems": 2}
    before = fits(schema, text)

    keep_apart(Walk(schema))

    assert (before, fits(schema, text)) == (False, True)


def test_schemas_without_such_a_name_are_left_as_they_are() -> None:
    schema = {"title": "t", "type": "object", "properties": {"a": {"title": "u", "default": 1, "enum": [1, "title"]}}}
    before = json.dumps(schema)

    keep_apart(Walk(schema))

    assert json.dumps(schema) == before
