"""Keywords of a JSON schema that xgrammar ignores, so that texts break them.

xgrammar reads one of `FORMS` of a schema and nothing beside it, or else what it knows of the types that the schema
names. It prints a warning at most.
Source: xgrammar 0.2.8, cpp/json_schema_converter.cc, `SchemaParser` and `JSONSchemaConverter`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from crt_hf.schemas.types import Schema, disjoint, own_types, target, types, within

FORMS = ("$ref", "const", "enum", "anyOf", "oneOf", "allOf")
"""Of these the first that a schema has is all that is read of it."""
NEVER = ("$dynamicRef", "$recursiveRef", "not", "if", "then", "else")
"""Keywords that are ignored everywhere."""
OF_TYPES: Mapping[str, tuple[str, ...]] = {
    "number": ("multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    "string": ("pattern", "format", "minLength", "maxLength"),
    "array": (
        "items", "prefixItems", "additionalItems", "unevaluatedItems", "minItems", "maxItems", "uniqueItems",
        "contains", "minContains", "maxContains",
    ),
    "object": (
        "properties", "required", "patternProperties", "propertyNames", "additionalProperties",
        "unevaluatedProperties", "minProperties", "maxProperties", "dependentRequired", "dependentSchemas",
        "dependencies",
    ),
}  # fmt: skip
"""Keywords that say something of values of a type."""
NOTHING: Mapping[str, Any] = {
    "uniqueItems": False, "required": [], "minItems": 0, "minLength": 0, "minProperties": 0, "properties": {},
    "patternProperties": {}, "dependentRequired": {}, "dependentSchemas": {}, "dependencies": {},
}  # fmt: skip
"""Values with which a keyword says nothing."""
FORMATS = (
    "email", "date", "time", "date-time", "duration", "ipv4", "ipv6", "hostname", "uuid", "uri", "uri-reference",
    "uri-template", "json-pointer", "relative-json-pointer",
)  # fmt: skip
"""Formats that are kept."""
UNKEPT = ("idn-email", "idn-hostname", "iri", "iri-reference", "regex")
"""The other formats that JSON schemas define; any further name says nothing."""
MULTIPLE, WIDEST = 1024, 10_000
"""The largest `multipleOf` of integers, and the most integers between two bounds with one."""
LEAVE_OUT = "leave it out, and check the texts by it"


class Ignored(NamedTuple):
    """A keyword that is ignored."""

    where: str
    """JSON pointer to it, as in a `$ref`."""
    why: str
    """When it is ignored, and what to do."""

    def __str__(self) -> str:
        return f"{self.where}: xgrammar ignores it {self.why}"


Place = tuple[dict[str, Any], str]
"""A schema, and the JSON pointer to it."""


class Walk:
    """The keywords that are ignored in all schemas that xgrammar reads of a document, in its order."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.read: dict[tuple[int, str | None], Place] = {}
        """The schemas, but for true and false, by identity and default type."""
        self.ignored: dict[str, Ignored] = {}
        self._visit(root, "#")

    def _visit(self, schema: Any, where: str, default: str | None = None) -> None:
        if not isinstance(schema, dict) or (id(schema), default) in self.read:
            return
        self.read[id(schema), default] = (schema, where)
        for name in NEVER:
            if name in schema:
                self._note(where, name, f"everywhere; {LEAVE_OUT}")
        form = next((each for each in FORMS if each in schema), None)
        if form is not None:
            self._beside(schema, where, form)
            self._form(schema, where, form)
            return
        named = own_types(schema, default)
        for name in () if named else sorted({each for every in OF_TYPES.values() for each in every}):
            if _says(schema, name):
                self._note(where, name, "in a schema without a type; add `type`")
        for each in named:
            self._typed(schema, where, each)

    def _beside(self, schema: Schema, where: str, form: str) -> None:
        """Notes what stands beside a form; a type may, if the form is of that type anyway."""
        for name in ("type", *FORMS, *(each for every in OF_TYPES.values() for each in every)):
            if name == form or not _says(schema, name):
                continue
            if name == "type" and within(types(self.root, schema), frozenset(own_types(schema))):
                continue
            of_type = "leave values of other types out of it, or" if name == "type" else "write it there, or"
            self._note(where, name, f"beside `{form}`; {of_type} {LEAVE_OUT}")

    def _form(self, schema: Schema, where: str, form: str) -> None:
        inside = schema[form]
        if form == "$ref":
            referred = target(self.root, inside)
            if isinstance(inside, str) and inside != "#" and not inside.startswith("#/"):
                self._note(where, form, "unless it is `#` or starts with `#/`; copy the schema into `$defs`")
            self._visit(referred, inside if isinstance(inside, str) else where)
        elif form in ("anyOf", "oneOf", "allOf") and isinstance(inside, list):
            if form == "allOf" and len(inside) > 1:
                self._note(where, form, "if it has several schemas; write their keywords into one")
            pairs = [(a, b) for place, a in enumerate(inside) for b in inside[:place]]
            if form == "oneOf" and not all(disjoint(self.root, a, b) for a, b in pairs):
                self._note(
                    where, form, "where several of its schemas may fit, and takes it for `anyOf`; write `anyOf`, "
                    "or let a property that all require have different `const` values",
                )  # fmt: skip
            for place, each in enumerate(inside):
                self._visit(each, f"{where}/{form}/{place}")

    def _typed(self, schema: Schema, where: str, kind: str) -> None:
        for name, why in RULES.get(kind, _nothing)(schema):
            if _says(schema, name):
                self._note(where, name, why)
        if kind == "array":
            self._list(schema, where, "prefixItems")
            self._inner(schema, where, "items" if "items" in schema else "unevaluatedItems")
        if kind == "object":
            for name in ("properties", "patternProperties"):
                if isinstance(schema.get(name), Mapping):
                    for key, each in schema[name].items():
                        self._visit(each, f"{where}/{name}/{_escaped(key)}")
            other = "additionalProperties" if "additionalProperties" in schema else "unevaluatedProperties"
            self._inner(schema, where, other)
            self._names(schema, where)

    def _names(self, schema: Schema, where: str) -> None:
        """Notes `propertyNames` whose values may be no strings: they would be written where a name stands."""
        names = schema.get("propertyNames")
        if not isinstance(names, Mapping):
            return
        plain = not any(form in names for form in FORMS)
        if not plain and not within(types(self.root, names), frozenset({"string"})):
            self._note(where, "propertyNames", "as far as it allows no strings alone; give its schemas the type string")
        self._visit(names, f"{where}/propertyNames", "string" if plain else None)

    def _inner(self, schema: Schema, where: str, name: str) -> None:
        if name in schema:
            self._visit(schema[name], f"{where}/{name}")

    def _list(self, schema: Schema, where: str, name: str) -> None:
        for place, each in enumerate(schema[name] if isinstance(schema.get(name), list) else ()):
            self._visit(each, f"{where}/{name}/{place}")

    def _note(self, where: str, name: str, why: str) -> None:
        place = f"{where}/{_escaped(name)}"
        self.ignored.setdefault(place, Ignored(place, why))


Problems = Iterator[tuple[str, str]]
"""Keywords of a schema of one type that are ignored, and why."""


def _integers(schema: Schema) -> Problems:
    by = schema.get("multipleOf")
    if isinstance(by, int | float) and (by > MULTIPLE or not float(by).is_integer()):
        yield "multipleOf", f"unless it is an integer, at most {MULTIPLE}; {LEAVE_OUT}"
    low = [schema.get("minimum"), schema.get("exclusiveMinimum")]
    high = [schema.get("maximum"), schema.get("exclusiveMaximum")]
    lows = [x + more for more, x in enumerate(low) if isinstance(x, int | float)]
    highs = [x - less for less, x in enumerate(high) if isinstance(x, int | float)]
    if bool(lows) != bool(highs) or (lows and highs and min(highs) - max(lows) + 1 > WIDEST):
        yield "multipleOf", f"unless there are two bounds, with at most {WIDEST} integers, or none; add bounds"


def _numbers(_: Schema) -> Problems:
    yield "multipleOf", f"of numbers; let the type be integer, or {LEAVE_OUT}"


def _strings(schema: Schema) -> Problems:
    known = schema.get("format")
    if known in FORMATS:
        for name in ("pattern", "minLength", "maxLength"):
            yield name, f"beside `format`; {LEAVE_OUT}"
    elif known in UNKEPT:
        yield "format", f"if it is {known}; write a `pattern`"
    if "pattern" in schema:
        for name in ("minLength", "maxLength"):
            yield name, "beside `pattern`; write the length into the pattern, as in `^[a-z]{2,8}$`"
        bare = re.sub(r"\\.|\[(?:\\.|[^\]\\])*\]", "x", str(schema["pattern"]))  # without escapes and classes
        if re.search(r"\(\?<?[=!]", bare):
            yield "pattern", "as far as it looks ahead or behind, as by `(?=`; write it without"
        if re.search(r"[^(|:]\^|\$[^)|]", bare):
            yield "pattern", "as far as `^` or `$` stand inside; write them at its ends alone"


def _arrays(schema: Schema) -> Problems:
    for name in ("uniqueItems", "contains", "minContains", "maxContains"):
        yield name, f"everywhere; {LEAVE_OUT}"
    yield "additionalItems", "everywhere; write `items`, behind `prefixItems`"


def _objects(schema: Schema) -> Problems:
    for name in ("dependentRequired", "dependentSchemas", "dependencies"):
        yield name, f"everywhere; {LEAVE_OUT}"
    maps = [schema.get(name) for name in ("properties", "patternProperties")]
    described, patterns = (each if isinstance(each, Mapping) else {} for each in maps)
    required = schema.get("required")
    if isinstance(required, list) and any(each not in described for each in required):
        yield "required", "of a name that is not in `properties`; add it there"
    others = schema.get("additionalProperties", schema.get("unevaluatedProperties", False)) is not False
    if patterns and described and others:
        yield "patternProperties", "beside `properties` and additional ones; set `additionalProperties` to false"
    if patterns and any(_matches(pattern, name) for pattern in patterns for name in described):
        yield "patternProperties", "of a name that is in `properties`; write a pattern that does not match it"
    if len(patterns) > 1 and any(each != next(iter(patterns.values())) for each in patterns.values()):
        yield "patternProperties", "as far as a name matches several; write one, or one schema for all"
    if patterns or described:
        yield "propertyNames", f"beside `properties` or `patternProperties`; {LEAVE_OUT}"
    if "propertyNames" in schema:
        for name in ("additionalProperties", "unevaluatedProperties"):
            if schema.get(name) is False:
                yield name, "beside `propertyNames`, if it is false; list the names in `properties`"


def _nothing(_: Schema) -> Problems:
    yield from ()


RULES: Mapping[str, Callable[[Schema], Problems]] = {
    "integer": _integers, "number": _numbers, "string": _strings, "array": _arrays, "object": _objects,
}  # fmt: skip


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:  # Python's patterns are not quite those of JSON schemas
        return True


def _says(schema: Schema, name: str) -> bool:
    return name in schema and (name not in NOTHING or schema[name] != NOTHING[name])


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
