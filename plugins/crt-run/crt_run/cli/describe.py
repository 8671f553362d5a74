"""`crt show`: what a component or a key of spec files is, its fields, and a snippet to paste."""

from __future__ import annotations

import difflib
import inspect
import json
import sys
from collections.abc import Iterable
from functools import partial
from typing import Any

import click

from crt_cli.console import answer, room
from crt_run.cli.fields import Field, fields_of
from crt_run.cli.language import BY_NAME, Key
from crt_run.cli.texts import paragraphs
from crt_run.cli.whole import experiments, place, table, whole
from crtcore.errors import RunError, nearest
from crtcore.hooks import Component
from crtcore.kinds import KINDS, ExperimentSpec, Role
from crtcore.loading import Failed, call
from crtcore.registry import NotInstalled, Registry


def named(registry: Registry, name: str, others: Iterable[str] = ()) -> list[tuple[str, Component]]:
    """The components that `name`, or `kind/name`, means.

    Raises: NotInstalled if there is none, with the nearest of their names and `others`.
    """
    kind, slash, bare = name.rpartition("/")
    matches = [
        (plugin, component)
        for plugin, component in registry
        if component.name == bare and (not slash or component.kind == kind)
    ]
    if not matches:
        if bare in KINDS and not slash:
            raise NotInstalled(f"{name!r} is a kind: name a component of it, which `crt list {name}` prints")
        known = sorted({*others, *(component.name for _, component in registry)})
        raise NotInstalled("; ".join([f"no component is called {name!r}{near(bare, known)}", *registry.broken]))
    return matches


def near(word: str, known: list[str]) -> str:
    """What was most likely meant, or the three names that are nearest."""
    if close := difflib.get_close_matches(word, known, 1):
        return nearest(word, close)
    three = ", ".join(map(repr, difflib.get_close_matches(word, known, 3, cutoff=0.0))) or "none"
    return f"; the nearest names are {three}; `crt list` prints all components"


def showing(registry: Registry, name: str, *, as_json: bool) -> None:
    """Prints what a component, a kind or a key of spec files is, its fields and a snippet.

    Raises: RunError if a plugin's spec cannot be described; NotInstalled if nothing has that name.
    """
    shown = everything(registry, name)
    if as_json:
        answer(shown)
        return
    for one in shown:
        plugin = f" (from {one['plugin']})" if one["plugin"] else ""
        click.echo(f"{one['kind']} {one['name']}{plugin}\n")
        for paragraph in paragraphs(one["text"]):
            click.echo(click.wrap_text(paragraph, room()) + "\n")
        for field in one["fields"]:
            click.echo(click.wrap_text(f"{field['name']}: {field['facts']}", room(), "  ", "      "))
            if field["text"]:
                click.echo(click.wrap_text(field["text"], room(), "      ", "      "))
        if one["fields"]:
            click.echo()
        for line in one["tables"]:
            click.echo(click.wrap_text(line, room(), "  ", "      "))
        if one["tables"]:
            click.echo()
        click.echo(one["snippet"])


def everything(registry: Registry, name: str) -> list[dict[str, Any]]:
    """All that has a name: components, a kind, a key of spec files.

    Raises: RunError if a plugin's spec cannot be described; NotInstalled if nothing has that name.
    """
    name = next((step for step in reversed(name.split(".")) if step in BY_NAME), name)  # such as sweep.arms
    keys = [key_shown(BY_NAME[name], registry)] if name in BY_NAME else []
    kinds = [kind_shown(name, registry)] if name in KINDS else []
    is_component = any(component.name == name for _, component in registry)
    components = [] if (keys or kinds) and not is_component else named(registry, name, (*BY_NAME, *KINDS))
    return keys + kinds + [component_shown(registry, plugin, component) for plugin, component in components]


def component_shown(registry: Registry, plugin: str, component: Component) -> dict[str, Any]:
    """A component as plain values.

    Raises: RunError if its spec cannot be described.
    """
    try:
        text = call(plugin, partial(_text, registry, plugin, component))
    except Failed as failed:
        raise RunError(
            f"{registry.who(plugin)}: {component.kind} {component.name!r} cannot be described ({failed})"
        ) from None
    shown: dict[str, Any] = json.loads(text)
    return shown


def _text(registry: Registry, plugin: str, component: Component) -> str:
    return json.dumps(_described(registry, plugin, component), allow_nan=False)


def _described(registry: Registry, plugin: str, component: Component) -> dict[str, Any]:
    role, many = place(component, registry)
    snippet = whole(component, registry) if issubclass(component.spec, ExperimentSpec) else None
    return {
        "kind": component.kind,
        "name": component.name,
        "plugin": plugin,
        "summary": component.summary,
        "text": inspect.getdoc(component.spec) or component.summary,
        "fields": _plain(fields_of(component.spec, registry, component.examples[0])),
        "tables": list(_tables(component, registry)),
        "snippet": snippet or table(role, component, registry, many=many),
    }


def _plain(fields: list[Field]) -> list[dict[str, Any]]:
    return [{**field._asdict(), "facts": field.facts} for field in fields]


def _tables(component: Component, registry: Registry) -> list[str]:
    """Of an experiment the tables that it reads, of other components where experiments read them."""
    spec = component.spec
    if issubclass(spec, ExperimentSpec):
        roles = [f"{_header(role, what.many)}: {_number(what)}" for role, what in spec.roles.items()]
        return ["It reads these tables:", *roles, *(f"[training.{stage}]: see training" for stage in spec.stages)]
    where: dict[str, list[str]] = {}
    for experiment in experiments(registry):
        assert issubclass(experiment.spec, ExperimentSpec)
        for role, what in experiment.spec.roles.items():
            if what.kind == component.kind:
                where.setdefault(_header(role, what.many), []).append(experiment.name)
    return [*["In spec files:"][: len(where)], *(f"{head} in {', '.join(names)}" for head, names in where.items())]


def _number(what: Role) -> str:
    """How many components a role has."""
    if what.many:
        return f"{'any number of' if what.optional else 'one or more'} {what.kind}s"
    return f"a {what.kind}{', optional' if what.optional else ''}"


def _header(role: str, many: bool) -> str:
    return f"[[{role}]]" if many else f"[{role}]"


def key_shown(key: Key, registry: Registry) -> dict[str, Any]:
    """A key of spec files as plain values."""
    fields = _plain(fields_of(key.table, registry)) if key.table else []
    return {
        "kind": "key", "name": key.name, "plugin": "", "summary": key.summary,
        "text": f"{key.summary[0].upper()}{key.summary[1:]}.\n\n{key.text}", "fields": fields, "tables": [],
        "snippet": f"{key.snippet}\n",
    }  # fmt: skip


def kind_shown(kind: str, registry: Registry) -> dict[str, Any]:
    """A kind as plain values: its promise, and what is installed of it."""
    promise = (sys.modules[KINDS[kind].__module__].__doc__ or "").split("\n\n")[0]
    components = [registry.find(kind, name) for name in registry.names(kind)]
    first = components[0] if components else None
    return {
        "kind": "kind", "name": kind, "plugin": "", "summary": promise, "text": promise, "fields": [],
        "tables": ["Installed:", *(f"{each.name}: {each.summary}" for each in components)],
        "snippet": table(place(first, registry)[0], first, registry, many=place(first, registry)[1]) if first else "",
    }  # fmt: skip
