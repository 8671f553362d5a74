"""`crt show`: what a component is, its fields, an example."""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import json
import linecache
import sys
from functools import partial
from typing import Any

import attrs
import click
import tomli_w

from crt_cli.console import answer, room
from crtcore.errors import RunError, nearest
from crtcore.hooks import Component
from crtcore.loading import Failed, call
from crtcore.registry import NotInstalled, Registry, describe
from crtcore.spec import Spec


def named(registry: Registry, name: str) -> list[tuple[str, Component]]:
    """The components that `name`, or `kind/name`, means.

    Raises: NotInstalled if there is none.
    """
    kind, slash, bare = name.rpartition("/")
    matches = [
        (plugin, component)
        for plugin, component in registry
        if component.name == bare and (not slash or component.kind == kind)
    ]
    if not matches:
        known = [component.name for _, component in registry]
        raise NotInstalled("; ".join([f"no component is called {name!r}{nearest(bare, known)}", *registry.broken]))
    return matches


def showing(registry: Registry, name: str, *, as_json: bool) -> None:
    """Prints what a component is, its fields and an example.

    Raises: RunError if a plugin's spec cannot be described.
    """
    components = []
    for plugin, component in named(registry, name):
        try:
            components.append(json.loads(call(plugin, partial(_text, registry, plugin, component))))
        except Failed as failed:
            raise RunError(
                f"{registry.who(plugin)}: {component.kind} {component.name!r} cannot be described ({failed})"
            ) from None
    if as_json:
        answer(components)
        return
    for one in components:
        click.echo(f"{one['kind']} {one['name']} (from {one['plugin']})\n\n{one['text']}\n")
        for field in one["fields"]:
            default = "required" if field["required"] else f"default {field['default']!r}"
            click.echo(f"  {field['name']}: {field['type']}, {default}")
            click.echo(click.wrap_text(field["text"], room(), "      ", "      "))
        click.echo(f"\n{one['example']}")


def _text(registry: Registry, plugin: str, component: Component) -> str:
    return json.dumps(_described(registry, plugin, component), allow_nan=False)


def _described(registry: Registry, plugin: str, component: Component) -> dict[str, Any]:
    texts = field_texts(component.spec)
    example = {"use": component.name} | {
        name: value
        for name, value in describe(component.examples[0], registry).items()
        if name not in ("use", "optimizer")
    }
    return {
        "kind": component.kind,
        "name": component.name,
        "plugin": plugin,
        "summary": component.summary,
        "text": inspect.getdoc(component.spec) or component.summary,
        "fields": [
            {
                "name": field.name,
                "type": str(field.type) if not isinstance(field.type, type) else field.type.__name__,
                "required": field.default is attrs.NOTHING,
                "default": _default(registry, field),
                "text": texts.get(field.name, ""),
            }
            for field in attrs.fields(component.spec)
        ],
        "example": tomli_w.dumps({component.kind: example}),
    }


def _default(registry: Registry, field: attrs.Attribute[Any]) -> Any:
    """The plain default of a field; None if it has none, or one that hangs on other fields."""
    default: Any = field.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # the stubs call the class a function
        default = None if default.takes_self else default.factory()
    return None if default is attrs.NOTHING else describe(default, registry)


def field_texts(spec: type[Spec]) -> dict[str, str]:
    """Field to the string written under it, base classes included; class variables count as fields."""
    texts: dict[str, str] = {}
    for owner in reversed(spec.__mro__):
        if attrs.has(owner):
            module = sys.modules[owner.__module__]
            source = linecache.getlines(getattr(module, "__file__", None) or "", vars(module))
            texts |= _texts("".join(source)).get(owner.__qualname__, {})
    return texts


@functools.lru_cache(maxsize=256)
def _texts(source: str) -> dict[str, dict[str, str]]:
    """Class to field to the string written under it; code that came without its text has none."""
    return {
        each.name: {
            field.target.id: " ".join(text.value.value.split())
            for field, text in itertools.pairwise(each.body)
            if isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        }
        for each in ast.parse(source).body
        if isinstance(each, ast.ClassDef)
    }
