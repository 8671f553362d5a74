"""The registry: every installed component by kind and name. Immutable once made."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

import attrs
import pluggy

from crtcore.hooks import PROJECT, Component, Hooks
from crtcore.kinds import KINDS
from crtcore.spec import Spec

BUILTIN = EntryPoint(name="crtcore", value="crtcore.builtin.plugin", group=PROJECT)


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
        found: dict[tuple[str, str], tuple[str, Component]] = {}
        specs: dict[type[Spec], tuple[str, str]] = {}
        for plugin, component in brought:
            key = (component.kind, component.name)
            if key in found:
                raise NameClash(
                    f"{component.kind} {component.name!r} comes from both {found[key][0]!r} and {plugin!r}; "
                    f"uninstall one of them"
                )
            if component.spec in specs:
                raise NameClash(
                    f"{component.spec.__name__} comes as {specs[component.spec]} and as {key}; one name each"
                )
            found[key] = plugin, component
            specs[component.spec] = key
        return cls(MappingProxyType(found), MappingProxyType(dict(broken)))

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
        known = self.names(kind)
        near = difflib.get_close_matches(name, known, 1)
        parts = [
            f"no {kind} is called {name!r}; " + (f"did you mean {near[0]!r}? " if near else "")
            + f"installed: {', '.join(known) or 'none'}"
        ]  # fmt: skip
        parts += [f"plugin {plugin!r} could not be loaded ({describe(error)})" for plugin, error in self.broken.items()]
        return "; ".join(parts)


def describe(error: BaseException) -> str:
    """An exception in one line: its type and its text."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


def discover(plugins: Iterable[EntryPoint] | None = None) -> Registry:
    """The registry of everything installed; imports no torch.

    A plugin that cannot be loaded, or whose hook fails, stops nobody else and is kept in `broken`.

    Raises: NameClash.
    """
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    brought: list[tuple[str, Component]] = []
    broken: dict[str, BaseException] = {}
    for entry in (BUILTIN, *(entry_points(group=PROJECT) if plugins is None else plugins)):
        try:
            module = entry.load()
            manager.register(module, entry.name)
            manager.check_pending()
            components = manager.subset_hook_caller(
                "crt_components", [other for other in manager.get_plugins() if other is not module]
            )()
            brought += [(entry.name, checked(component)) for each in components for component in each]
        except (Exception, SystemExit) as error:
            broken[entry.name] = error
            if manager.has_plugin(entry.name):
                manager.unregister(name=entry.name)
    return Registry.of(brought, broken)


def checked(component: object) -> Component:
    """`component`, if it is one of a known kind.

    Raises: TypeError if it is not.
    """
    if not isinstance(component, Component):
        raise TypeError(f"crt_components: expected a list of Component, got {component!r}")
    if not issubclass(component.spec, KINDS.get(component.kind, ())):
        raise TypeError(f"component {component.name!r}: expected a spec of a known kind, got {component.spec!r}")
    return component
