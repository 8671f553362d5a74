"""Plain values to specs and settings, strictly: nothing is coerced, and all problems are reported at once."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Literal, get_args, get_origin

import attrs
import cattrs
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn

from crtcore.compose.answers import Answers
from crtcore.errors import PROBLEMS, Key, nearest
from crtcore.kinds import KINDS
from crtcore.loading import Failed, call
from crtcore.registry import NotInstalled, Registry
from crtcore.spec import FieldError, Spec

LONGEST = 200
"""Characters of a value that a message shows."""

_PRIMITIVES: Mapping[type, tuple[str, tuple[type, ...]]] = {
    int: ("an integer", (int,)),
    float: ("a number", (float, int)),
    str: ("a string", (str,)),
    bool: ("true or false", (bool,)),
}


class StructureError(ValueError):
    """Values that do not make what was asked for; `problems` are paths and messages."""

    def __init__(self, problems: list[tuple[Key, str]]) -> None:
        super().__init__("; ".join(message for _, message in problems))
        self.problems = problems


class Structurer:
    """Structures the tables of one study: equal tables, which most points share, once."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.answers = Answers(registry)
        self._converter = _converter(registry)
        self._known: dict[tuple[Any, str], Any] = {}

    def __call__(self, values: Any, into: Any) -> Any:
        """`values` as an attrs class, or as the component of a kind that its `use` names.

        Raises: StructureError with every wrong key and type; if there is none, with every value that is out of range.
        """
        key = into, repr(values)  # 1, 1.0 and true are equal, and differ in `repr`
        if key not in self._known:
            with attrs.validators.disabled():
                try:
                    made = self._converter.structure(values, into)
                except Exception as error:
                    raise StructureError(list(islice(_problems(error, ()), PROBLEMS + 1))) from None
            if wrong := list(islice(self.answers.wrong(made), PROBLEMS + 1)):
                raise StructureError(wrong)
            self._known[key] = made
        return self._known[key]


def shown(value: Any) -> str:
    """`value` in `repr`, cut where it gets long."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _converter(registry: Registry) -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    for kind, (expected, allowed) in _PRIMITIVES.items():
        converter.register_structure_hook(kind, _primitive(kind, expected, allowed))

    def table(into: type[Any]) -> Any:
        inner = make_dict_structure_fn(into, converter, _cattrs_forbid_extra_keys=True)

        def hook(value: Any, _: Any) -> Any:
            if not isinstance(value, dict):
                raise TypeError(f"expected a table, got {shown(value)}")
            return inner(value, into)

        return hook

    def part(value: Any, base: type[Spec]) -> Any:
        if not isinstance(value, dict):
            raise TypeError(f"expected a table, got {shown(value)}")
        use = value.get("use")
        if not isinstance(use, str):
            got, article = "nothing" if use is None else shown(use), "an" if base.kind[0] in "aeiou" else "a"
            raise StructureError(
                [(("use",), f"expected the name of {article} {base.kind} ({_names(registry, base.kind)}), got {got}")]
            )
        try:
            component = registry.find(base.kind, use)
        except NotInstalled as error:
            raise StructureError([(("use",), str(error))]) from None
        fields = {name: entry for name, entry in value.items() if name != "use"}
        try:
            return call(
                use, converter.structure, fields, component.spec, expected=(BaseValidationError, StructureError)
            )
        except Failed as failed:
            raise StructureError([((), f"{registry.called(component.spec)} cannot be read ({failed})")]) from None

    def sequence(value: Any, into: Any) -> Any:
        if not isinstance(value, list):
            raise TypeError(f"expected an array, got {shown(value)}")
        kinds = get_args(into)
        if kinds[-1] is Ellipsis:
            kinds = kinds[:1] * len(value)
        if len(value) != len(kinds):
            raise TypeError(f"expected an array of {len(kinds)}, got {shown(value)}")
        made, wrong = [], []
        for index, (entry, kind) in enumerate(zip(value, kinds, strict=True)):
            try:
                made.append(converter.structure(entry, kind))
            except Exception as error:
                error.add_note(IterableValidationNote(f"entry {index}", index, kind))
                wrong.append(error)
            if len(wrong) > PROBLEMS:
                break
        if wrong:
            raise IterableValidationError("entries", wrong, into)
        return tuple(made)

    converter.register_structure_hook_factory(attrs.has, table)
    converter.register_structure_hook_func(lambda into: into in KINDS.values(), part)
    converter.register_structure_hook_func(lambda into: _origin(into) is tuple, sequence)
    converter.register_structure_hook_func(lambda into: _origin(into) is Literal, _literal)
    return converter


def _origin(into: Any) -> Any:
    """As `get_origin`, whose declared type mypy does not compare with `tuple`."""
    return get_origin(into)


def _names(registry: Registry, kind: str) -> str:
    return ", ".join(registry.names(kind)) or "none is installed"


def _primitive(kind: type, expected: str, allowed: tuple[type, ...]) -> Any:
    def hook(value: Any, _: Any) -> Any:
        if type(value) not in allowed:
            raise TypeError(f"expected {expected}, got {shown(value)}")
        if isinstance(value, float) and not math.isfinite(value):
            raise TypeError(f"expected a finite number, got {value!r}")
        return kind(value)

    return hook


def _literal(value: Any, into: Any) -> Any:
    choices = get_args(into)
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        near = difflib.get_close_matches(str(value), map(str, choices), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise TypeError(f"expected one of {', '.join(map(repr, choices))}, got {shown(value)}{hint}")
    return value


def _problems(error: BaseException, path: Key) -> Iterator[tuple[Key, str]]:
    """Path and message of every problem in what cattrs raised."""
    if isinstance(error, BaseValidationError):
        for inner in error.exceptions:
            steps = [
                note.name if isinstance(note, AttributeValidationNote) else note.index
                for note in getattr(inner, "__notes__", ())
                if isinstance(note, AttributeValidationNote | IterableValidationNote)
            ]
            yield from _problems(inner, (*path, *steps[:1]))
    elif isinstance(error, ForbiddenExtraKeysError):
        assert error.cl is not None
        known = [field.name for field in attrs.fields(error.cl)]
        for name in sorted(error.extra_fields):
            yield (*path, name), f"unknown key{nearest(name, known)}"
    elif isinstance(error, StructureError):
        for inside, message in error.problems:
            yield (*path, *inside), message
    elif isinstance(error, FieldError):  # raised past the validators, in `__attrs_post_init__`
        yield (*path, error.field), error.message
    elif isinstance(error, KeyError):  # cattrs' word for a required key that is not there
        yield path, "expected a value, got nothing"
    else:
        yield path, str(error)
