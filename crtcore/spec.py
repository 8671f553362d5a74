"""Specs: frozen, torch-free descriptions of components, and the validators of their fields."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar, Self, TypeAlias

import attrs

from crtcore.errors import RunError
from crtcore.fields import FieldTexts

Validator: TypeAlias = "Callable[[Any, attrs.Attribute[Any], Any], None]"

COSMETIC = {"cosmetic": True}
"""Metadata of a field that changes no result (`attrs.field(metadata=COSMETIC)`): hashes leave it out.

A function in place of True takes the spec and returns whether the field changes no result there.
"""
FILES = {"files": True}
"""Metadata of a field that holds a path, where results depend on what is there; a function: True for what is a path."""


class FieldError(ValueError):
    """A field has a value it cannot have; `field` names it, `message` says what was expected and what came."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


@attrs.frozen(kw_only=True)
class Spec:
    """Base of every description that a TOML table can hold."""

    kind: ClassVar[str]
    implementation: ClassVar[str]
    """What `build` calls with the spec and what else it is given: `package.module:name`."""

    def __init_subclass__(cls) -> None:
        """Has attrs compile no such method for each class: one for all halves the time that a plugin takes to load."""
        super().__init_subclass__()
        for method in (Spec.__eq__, Spec.__hash__, Spec.__repr__):
            if method.__name__ not in cls.__dict__:
                setattr(cls, method.__name__, method)
        if "__slots__" in vars(cls):
            cls.__slots__ = FieldTexts(cls, vars(cls)["__slots__"])  # type: ignore[attr-defined]  # where help() looks

    def __eq__(self, other: object) -> bool:
        return _values(self) == _values(other) if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), *_values(self)))

    def __repr__(self) -> str:
        shown = (f"{field.name}={getattr(self, field.name)!r}" for field in attrs.fields(type(self)) if field.repr)
        return f"{type(self).__qualname__.rsplit('>.', 1)[-1]}({', '.join(shown)})"

    def build(self, *args: Any, **kwargs: Any) -> Any:
        """The component, made by its implementation, which is imported here and nowhere before.

        Raises: RunError if a package that the implementation needs is not installed.
        """
        return resolve(self.implementation)(self, *args, **kwargs)

    def example_in(self, folder: Path) -> Self:
        """What laws are tried on: this spec, reading what it has just put into an empty folder, if it reads files."""
        return self


def _values(spec: Any) -> list[Any]:
    return [getattr(spec, field.name) for field in attrs.fields(type(spec)) if field.eq]


def is_cosmetic(field: attrs.Attribute[Any], made: Any) -> bool:
    """Whether a field of `made` changes no result there."""
    mark = field.metadata.get("cosmetic", False)
    return bool(mark(made) if callable(mark) else mark)


def names_files(field: attrs.Attribute[Any], value: Any) -> list[str]:
    """The paths in the value of a field: of one with the metadata `FILES`, what is not empty."""
    mark = field.metadata.get("files")
    entries = value if isinstance(value, tuple) else (value,)
    return [entry for entry in entries if mark and entry and (mark is True or mark(entry))]


def resolve(name: str) -> Any:
    """What `package.module:name` names.

    Raises: RunError if a package that the module needs is not installed.
    """
    module, _, inside = name.partition(":")
    try:
        return getattr(importlib.import_module(module), inside)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith(f"{module.partition('.')[0]}."):
            raise  # a wrong name, and no package that is missing
        package = module.partition(".")[0].replace("_", "-")
        raise RunError(
            f"{module}: expected the module {error.name!r}, which {package} needs, got no such module; "
            f"pip install {package}"
        ) from error


def at_least(low: float) -> Validator:
    """A finite number, not under `low`."""
    return _expecting(f"at least {low}", lambda value: low <= value < math.inf)


def above(low: float) -> Validator:
    """A finite number over `low`."""
    return _expecting(f"more than {low}", lambda value: low < value < math.inf)


def below(high: float) -> Validator:
    """A number under `high`."""
    return _expecting(f"less than {high}", lambda value: value < high)


def between(low: float, high: float) -> Validator:
    """A number from `low` to `high`, both allowed."""
    end = f"2^{high.bit_length() - 1}" if isinstance(high, int) and high > 2**31 and high.bit_count() == 1 else high
    return _expecting(f"{low} to {end}", lambda value: low <= value <= high)


def whole(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """An integer that is not negative, such as an id. Raises: FieldError if it is something else."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
        raise FieldError(attribute.name, f"expected an integer of at least 0, got {value!r}")


def _expecting(expected: str, fits: Callable[[Any], bool]) -> Validator:
    def check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if not fits(value):
            raise FieldError(attribute.name, f"expected {expected}, got {value!r}")

    check.__doc__ = expected
    return check


def each(inner: Validator) -> Validator:
    """A sequence with at least one entry, every one of which `inner` allows."""

    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if not value:
            raise FieldError(attribute.name, "expected at least one entry, got none")
        for entry in value:
            inner(instance, attribute, entry)

    check.__doc__ = f"one or more, each {inner.__doc__}"
    return check


def at_most_field(other: str) -> Validator:
    """A number that is no larger than the field `other` of the same spec, which is at least 1."""

    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value > max(most := getattr(instance, other), 1):  # below 1 that one is at fault
            raise FieldError(attribute.name, f"expected at most {other} ({most}), got {value!r}")

    check.__doc__ = f"at most {other}"
    return check


def divides(other: str) -> Validator:
    """A number that divides the field `other` of the same spec."""

    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        whole = getattr(instance, other)
        if value < 1 or whole % value:
            raise FieldError(attribute.name, f"expected a divisor of {other} ({whole}), got {value!r}")

    check.__doc__ = f"a divisor of {other}"
    return check
