"""The fields of a table in spec files as a person reads them: type, default, range and text."""

from __future__ import annotations

import functools
import math
import re
import types
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

import attrs
import tomli_w

from crt_run.cli.language import KEYS
from crt_run.cli.texts import field_texts
from crtcore.kinds import KINDS
from crtcore.registry import Registry, describe
from crtcore.spec import FieldError


class Field(NamedTuple):
    """A key of a table."""

    name: str
    type: str
    """In words."""
    required: bool
    default: Any
    """As TOML has it; None if there is none, or it hangs on other fields."""
    range: str
    """What its validators expect, in words; empty if they allow every value of the type."""
    text: str

    @property
    def facts(self) -> str:
        """Type, default and range in one line."""
        default = "required" if self.required else f"default {inline(self.default)}" if self.default is not None else ""
        return ", ".join(filter(None, (self.type, default, self.range)))


def fields_of(table: type[Any], registry: Registry, example: Any = None) -> list[Field]:
    """The fields of an attrs class; `example` is one of it, which some ranges need."""
    texts = field_texts(table)
    with suppress(NameError):  # of a type that is there for type checkers alone
        attrs.resolve_types(table)
    fields = []
    for field in attrs.fields(table):
        fields.append(
            Field(
                field.name, words(field.type), field.default is attrs.NOTHING, _default(registry, field),
                " and ".join(_ranges(field, example)), texts.get(field.name, ""),
            )
        )  # fmt: skip
        if inside := _own_table(field.type):
            fields += [each._replace(name=f"{field.name}.{each.name}") for each in fields_of(inside, registry)]
    return fields


def _own_table(kind: Any) -> type[Any] | None:
    """The class of a table that has no entry of its own in the reference."""
    known = {*KINDS.values(), *(key.table for key in KEYS)}
    each: type[Any]
    for each in (kind, *get_args(kind)):
        if isinstance(each, type) and attrs.has(each) and each not in known:
            return each
    return None


def words(kind: Any) -> str:
    """A type of a field in words."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Literal:
        *others, last = map(inline, inside)
        return f"{', '.join(others)} or {last}" if others else last
    if origin is tuple and inside[-1] is Ellipsis:
        return f"array of {words(inside[0])}s"
    if origin is tuple:
        return f"array of {len(inside)}: {', '.join(map(words, inside))}"
    if origin in (Union, types.UnionType):
        return " or ".join(words(each) for each in inside if each is not type(None))
    named = _PLAIN | {base: f"table of a {name}" for name, base in KINDS.items()}
    named |= {key.table: f"table, see `{key.name}`" for key in KEYS if key.table}
    return named.get(kind) or ("table" if _own_table(kind) else str(kind))


NAN = math.nan
"""A value that is in no range."""
_PLAIN: dict[Any, str] = {int: "integer", float: "number", str: "string", bool: "true or false"}


def inline(value: Any) -> str:
    """A plain value as one line of TOML."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(inline, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{name} = {inline(each)}' for name, each in value.items())} }}"
    return tomli_w.dumps({"x": value}).removeprefix("x = ").strip()


def _default(registry: Registry, field: attrs.Attribute[Any]) -> Any:
    default: Any = field.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # the stubs call the class a function
        default = None if default.takes_self else default.factory()
    return None if default is attrs.NOTHING else describe(default, registry)


def _ranges(field: attrs.Attribute[Any], example: Any) -> Iterator[str]:
    """What each validator of a field expects, by what it says of NaN, which is in no range."""
    sequence = get_origin(field.type) is tuple
    validators: Any = getattr(field.validator, "_validators", (field.validator,) if field.validator else ())
    for validator in validators:
        with suppress(Exception):  # its own code, of a value that it does not expect
            expected, got = _complaint(functools.partial(validator, example, field, (NAN,) if sequence else NAN))
            yield f"each {expected}" if sequence and got == repr(NAN) else expected


def _complaint(check: Any) -> tuple[str, str]:
    """What a validator expected, and what it got.

    Raises: ValueError if it refuses nothing, or its message says neither.
    """
    try:
        check()
    except FieldError as error:
        match = re.fullmatch(r"expected (.*?)(?: \(\d+\))?, got (.*)", error.message)
    except ValueError as error:  # attrs' own
        match = re.fullmatch(r".* must be (.*): (.*)", str(error.args[0]))
    else:
        match = None
    if match is None:
        raise ValueError("no range")
    return match.group(1).removeprefix("an integer of "), match.group(2)
