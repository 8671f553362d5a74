"""Leaves out components whose specs cannot be described: a field of an unknown type, a default that is no JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from crtcore.hooks import Component
from crtcore.loading import Failed, call
from crtcore.registry import Registry

Describe = Callable[[Registry], Any]


def describable(registry: Registry, describe: Describe) -> tuple[Registry, list[str]]:
    """The components that can be described together, and a line for each of the others: its plugin, and why."""
    if _failure("", registry, describe) is None:
        return registry, []
    kept: list[tuple[str, Component]] = []
    broken: list[str] = []
    for plugin, component in registry:
        reason = _failure(plugin, Registry.of([*kept, (plugin, component)]), describe)
        if reason is None:
            kept.append((plugin, component))
        else:
            broken.append(f"{registry.who(plugin)}: {component.kind} {component.name!r} left out ({reason})")
    return Registry.of(kept), broken


def _failure(plugin: str, registry: Registry, describe: Describe) -> str | None:
    """Why the description fails, or is no JSON."""
    try:
        call(plugin, lambda: json.dumps(describe(registry), allow_nan=False))
    except Failed as failed:
        return str(failed)
    return None
