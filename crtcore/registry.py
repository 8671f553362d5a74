"""The registry: every installed component by kind and name. Immutable once made."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

import attrs
import pluggy

from crtcore.errors import in_one_line
from crtcore.hooks import PROJECT, Component, Hooks
from crtcore.kinds import KINDS
from crtcore.spec import Spec, is_cosmetic


class NameClash(ValueError):
    """Two packages bring one name."""


class NotInstalled(LookupError):
    """Nothing installed has that name."""


@attrs.frozen
class Registry:
    """Components by kind and name, and the plugins that could not be loaded."""

    _found: Mapping[tuple[str, str], tuple[str, Component]]
    broken: Mapping[str, BaseException]
    """Plugin to what it raised."""

    @classmethod
    def of(
        cls, brought: Iterable[tuple[str, Component]], broken: Mapping[str, BaseException] = MappingProxyType({})
    ) -> Registry:
        """A registry of (plugin, component) pairs.

        Raises: NameClash if two plugins bring one name of one kind, or one spec comes under two names.
        """
        components: dict[tuple[str, str], tuple[str, Component]] = {}
        specs: dict[type[Spec], tuple[str, Component]] = {}
        for plugin, component in brought:
            key = (component.kind, component.name)
            if key in components:
                raise NameClash(
                    f"{component.kind} {component.name!r} comes from both {components[key][0]!r} and {plugin!r}; "
                    f"uninstall one of them"
                )
            if component.spec in specs:
                other, same = specs[component.spec]
                raise NameClash(
                    f"{component.spec.__name__} comes as {same.name!r} from {other!r} and as {component.name!r} from "
                    f"{plugin!r}; a spec has one name"
                )
            components[key] = specs[component.spec] = plugin, component
        return cls(MappingProxyType(components), MappingProxyType(dict(broken)))

    def __iter__(self) -> Iterator[tuple[str, Component]]:
        """(plugin, component) pairs by kind, then name."""
        order = list(KINDS)
        return iter(sorted(self._found.values(), key=lambda pair: (order.index(pair[1].kind), pair[1].name)))

    def names(self, kind: str) -> list[str]:
        """The names of one kind, sorted."""
        return sorted(name for its_kind, name in self._found if its_kind == kind)

    def find(self, kind: str, name: str) -> Component:
        """The component of that kind and name.

        Raises: NotInstalled, naming what is there, the nearest name and the plugins that are broken.
        """
        try:
            return self._found[kind, name][1]
        except KeyError:
            raise NotInstalled(self._missing(kind, name)) from None

    def name(self, spec: Spec) -> str:
        """The name under which a spec's component is known."""
        for _, component in self._found.values():
            if component.spec is type(spec):
                return component.name
        raise NotInstalled(f"no installed component has the spec {type(spec).__name__}")

    def _missing(self, kind: str, name: str) -> str:
        import difflib  # only where something is wrong

        known = self.names(kind)
        near = difflib.get_close_matches(name, known, 1)
        parts = [
            f"no {kind} is called {name!r}; " + (f"did you mean {near[0]!r}? " if near else "")
            + f"installed: {', '.join(known) or 'none'}"
        ]  # fmt: skip
        parts += [
            f"plugin {plugin!r} could not be loaded ({in_one_line(error)})" for plugin, error in self.broken.items()
        ]
        return "; ".join(parts)


def describe(made: Any, registry: Registry, *, cosmetic: bool = True) -> Any:
    """The plain values that `crtcore.compose.structure.Structurer` would make `made` of, defaults written out.

    `cosmetic=False` leaves out the fields that change no result.
    """
    if attrs.has(type(made)):
        fields = {
            field.name: describe(value, registry, cosmetic=cosmetic)
            for field in attrs.fields(type(made))
            if (value := getattr(made, field.name)) is not None and (cosmetic or not is_cosmetic(field, made))
        }
        return {"use": registry.name(made), **fields} if isinstance(made, Spec) else fields
    if isinstance(made, tuple):
        return [describe(entry, registry, cosmetic=cosmetic) for entry in made]
    return made


def discover(plugins: Iterable[EntryPoint] | None = None) -> Registry:
    """The registry of everything installed; imports no torch.

    A plugin that cannot be loaded, or whose hook fails, stops nobody else and is kept in `broken`.

    Raises: NameClash.
    """
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    brought: list[tuple[str, Component]] = []
    broken: dict[str, BaseException] = {}
    for entry in entry_points(group=PROJECT) if plugins is None else plugins:
        try:
            with contextlib.redirect_stdout(sys.stderr):  # what a command prints is its answer alone
                brought += [(entry.name, component) for component in _brought(manager, entry)]
        except (Exception, SystemExit) as error:
            broken[_unused(entry.name, broken)] = error
    return Registry.of(brought, broken)


def answers(
    hook: str, plugins: Iterable[EntryPoint] | None = None, **given: Any
) -> tuple[list[tuple[str, Any]], dict[str, BaseException]]:
    """(plugin, answer) pairs of everything installed that implements a hook, and what plugins raised instead."""
    brought: list[tuple[str, Any]] = []
    broken: dict[str, BaseException] = {}
    for entry in entry_points(group=PROJECT) if plugins is None else plugins:
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(Hooks)
        try:
            with contextlib.redirect_stdout(sys.stderr):  # as in `discover`
                manager.register(entry.load(), entry.name)
                brought += [(entry.name, answer) for answer in getattr(manager.hook, hook)(**given)]
        except (Exception, SystemExit) as error:
            broken[_unused(entry.name, broken)] = error
    return brought, broken


def _brought(manager: pluggy.PluginManager, entry: EntryPoint) -> list[Component]:
    """The components of one plugin; it stays registered if all is well.

    Raises: whatever it raises, and TypeError or PluginValidationError if its hooks are not as they should be.
    """
    module = entry.load()
    if manager.has_plugin(entry.name) or manager.is_registered(module):
        raise ValueError(f"another plugin is called {entry.name!r} or is made of {entry.value!r}, and comes before it")
    try:
        manager.register(module, entry.name)
        manager.check_pending()
        hook = manager.hook.crt_components
        answers = manager.subset_hook_caller(
            "crt_components", [other for other in manager.get_plugins() if other is not module]
        )()
        if not answers and any(implementation.plugin is module for implementation in hook.get_hookimpls()):
            answers = [None]  # pluggy leaves out what is None
        return [component for answer in answers for component in listed(answer)]
    except BaseException:
        if manager.is_registered(module):  # pluggy takes out by itself what it cannot register
            manager.unregister(module)
        raise


def _unused(name: str, taken: Mapping[str, Any]) -> str:
    """`name`, or `name (2)` and so on where that is taken."""
    names = (name, *(f"{name} ({count})" for count in range(2, len(taken) + 3)))
    return next(free for free in names if free not in taken)


def listed(answer: object) -> list[Component]:
    """What a hook returned, if it is a list of components.

    Raises: TypeError if it is not.
    """
    if not isinstance(answer, list | tuple):
        raise TypeError(f"crt_components: expected a list of Component, got {answer!r}")
    return [checked(component) for component in answer]


def checked(component: object) -> Component:
    """`component`, if it is one of a known kind.

    Raises: TypeError if it is not.
    """
    if not isinstance(component, Component):
        raise TypeError(f"crt_components: expected a list of Component, got {component!r}")
    if not issubclass(component.spec, KINDS.get(component.kind, ())):
        raise TypeError(f"component {component.name!r}: expected a spec of a known kind, got {component.spec!r}")
    return component
