"""Specs and settings to plain values, as a spec file writes them."""

from __future__ import annotations

from typing import Any

import attrs

from crtcore.registry import Registry
from crtcore.spec import Spec


def describe(made: Any, registry: Registry, *, cosmetic: bool = True) -> Any:
    """The plain values that `structure` would make `made` of, defaults written out.

    `cosmetic=False` leaves out the fields that change no result.
    """
    if attrs.has(type(made)):
        fields = {
            field.name: describe(value, registry, cosmetic=cosmetic)
            for field in attrs.fields(type(made))
            if (value := getattr(made, field.name)) is not None and (cosmetic or not field.metadata.get("cosmetic"))
        }
        return {"use": registry.name(made), **fields} if isinstance(made, Spec) else fields
    if isinstance(made, tuple):
        return [describe(entry, registry, cosmetic=cosmetic) for entry in made]
    return made
