"""The registry: every installed component by kind and name. Immutable once made."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import Distribution, EntryPoint, distributions
from types import MappingProxyType
from typing import Any

import attrs
import pluggy

from crtcore.errors import cut, in_one_line
from crtcore.hooks import INTERFACE, PROJECT, Component, Hooks
from crtcore.kinds import KINDS, ExperimentSpec, Figure, Role, TradeOff
from crtcore.loading import Failed, call
from crtcore.spec import Spec, is_cosmetic

UNREADABLE = "the entry points of"
"""How a line of `installed_entries` begins."""


class NotInstalled(LookupError):
    """Nothing installed has that name."""


class NameClash(NotInstalled):
    """Several components have that name, or that spec."""


@attrs.frozen
class Registry:
    """Components by kind and name, and what is wrong with plugins."""

    _found: Mapping[tuple[str, str], tuple[str, Component]]
    _clashes: Mapping[tuple[str, str], str]
    _owners: Mapping[type[Spec], tuple[str, Component]]
    broken: tuple[str, ...]
    """A line for each plugin that is left out, or a component of it: which, and why."""
    who: Callable[[str], str] = repr
    """How a plugin is named in messages."""

    @classmethod
    def of(
        cls, brought: Iterable[tuple[str, Component]], broken: Iterable[str] = (), who: Callable[[str], str] = repr
    ) -> Registry:
        """A registry of (plugin, component) pairs; `who` names a plugin in messages.

        Where a name of a kind has several specs, or a spec several names, none of these components is there.
        """
        components: dict[tuple[str, str], tuple[str, Component]] = {}
        claims: dict[object, list[tuple[str, Component]]] = {}
        clashes: dict[tuple[str, str], str] = {}
        lines = list(broken)
        for plugin, component in brought:
            key = component.kind, component.name
            if key in components and components[key][1].spec is component.spec:
                owner = who(components[key][0])
                lines.append(f"{who(plugin)} brings {key[0]} {key[1]!r} again, which {owner} brings")
                continue
            components.setdefault(key, (plugin, component))
            for claim in (key, id(component.spec)):
                claims.setdefault(claim, []).append((plugin, component))
        for pairs in claims.values():
            if len(pairs) > 1:
                each = [f"as {c.kind} {c.name!r} ({c.spec.__name__}) from {who(plugin)}" for plugin, c in pairs]
                lines.append(f"a name or a spec comes twice: {' and '.join(each)}; uninstall one of them")
                clashes |= {(component.kind, component.name): lines[-1] for _, component in pairs}
        left = {key: pair for key, pair in components.items() if key not in clashes}
        owners = {pair[1].spec: pair for pair in left.values()}
        return cls(MappingProxyType(left), MappingProxyType(clashes), MappingProxyType(owners), tuple(lines), who)

    def __iter__(self) -> Iterator[tuple[str, Component]]:
        """(plugin, component) pairs by kind, then name."""
        order = list(KINDS)
        return iter(sorted(self._found.values(), key=lambda pair: (order.index(pair[1].kind), pair[1].name)))

    def names(self, kind: str) -> list[str]:
        """The names of one kind, sorted."""
        return sorted(name for its_kind, name in self._found if its_kind == kind)

    def find(self, kind: str, name: str) -> Component:
        """The component of that kind and name.

        Raises: NameClash; NotInstalled, naming what is there, the nearest name and the plugins that are broken.
        """
        if (kind, name) in self._found:
            return self._found[kind, name][1]
        if (kind, name) in self._clashes:
            raise NameClash(self._clashes[kind, name])
        import difflib  # only where something is wrong

        known = self.names(kind)
        near = difflib.get_close_matches(name, known, 1)
        text = f"no {kind} is called {name!r}; " + (f"did you mean {near[0]!r}? " if near else "")
        raise NotInstalled("; ".join([f"{text}installed: {', '.join(known) or 'none'}", *self.broken]))

    def owner(self, spec: type[Spec]) -> tuple[str, Component]:
        """The plugin that brings a spec's component, and the component. Raises: NotInstalled if none does."""
        if spec not in self._owners:
            raise NotInstalled(f"no installed component has the spec {spec.__name__}")
        return self._owners[spec]

    def name(self, spec: Spec) -> str:
        """The name under which a spec's component is known."""
        return self.owner(type(spec))[1].name

    def called(self, spec: type[Spec]) -> str:
        """A spec's component for a message: its kind and name, and the plugin that brings it."""
        plugin, component = self.owner(spec)
        return f"{component.kind} {component.name!r} of {self.who(plugin)}"

    def blamed(self, error: BaseException) -> str:
        """The component, as `called`, whose spec's code was running last when an error was raised; empty: none was."""
        running: list[Any] = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
        running = [each for each in running if type(each) in self._owners]
        return self.called(type(running[-1])) if running else ""


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

    A plugin that cannot be loaded, or whose hook fails, is left out and named in `broken`.
    """
    answered, broken = answers("crt_components", plugins, check=_components)
    entries: dict[str, EntryPoint] = {}
    pairs: list[tuple[str, Component]] = []
    for entry, components in answered:
        plugin = entry.name if entries.setdefault(entry.name, entry) is entry else named(entry)
        entries[plugin] = entry
        pairs += [(plugin, component) for component in components]
    return Registry.of(pairs, broken, lambda plugin: named(entries[plugin]))


_failed: dict[EntryPoint, str] = {}
"""Installed plugins that failed once: this process does not try them again."""


def answers(
    hook: str, plugins: Iterable[EntryPoint] | None = None, *, check: Callable[[Any], Any] | None = None,
    limited: bool = True, **given: Any,
) -> tuple[list[tuple[EntryPoint, Any]], list[str]]:  # fmt: skip
    """(plugin, answer) pairs of everything installed that implements a hook, and a line for each that fails.

    `check` returns an answer that is as expected, and raises otherwise.
    """
    entries, broken = installed_entries() if plugins is None else (list(plugins), [])
    answered: list[tuple[EntryPoint, Any]] = []
    for entry in entries:
        try:
            if plugins is None and entry in _failed:
                raise Failed(_failed[entry])
            values = call(entry.name, _asked, entry, hook, check, given, limited=limited)
            answered += [(entry, value) for value in values]
        except Failed as failed:
            broken.append(f"{named(entry)} could not be loaded ({failed})")
            if plugins is None and limited:
                _failed[entry] = str(failed)
    return answered, broken


def _asked(entry: EntryPoint, hook: str, check: Callable[[Any], Any] | None, given: Mapping[str, Any]) -> list[Any]:
    if not EntryPoint.pattern.match(entry.value):
        raise ValueError(f"expected an entry point such as package.module, got {entry.value!r}")
    plugin = entry.load()
    made = getattr(plugin, "CRT_INTERFACE", 1)  # the first one need not be named
    if made != INTERFACE:
        which = "crtcore" if type(made) is int and made > INTERFACE else "it"
        raise ValueError(f"it needs interface {made!r} and crtcore has {INTERFACE}: install a newer version of {which}")
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    manager.register(plugin, entry.name)
    manager.check_pending()
    caller = getattr(manager.hook, hook)
    values: list[Any] = caller(**given)
    if check:  # pluggy leaves out what is None
        values = [check(value) for value in values or [None] * len(caller.get_hookimpls())]
    return values


def installed_entries() -> tuple[list[EntryPoint], list[str]]:
    """Entry points, and a line for each distribution whose own cannot be read."""
    entries: dict[EntryPoint, None] = {}
    broken: list[str] = []
    for each in distributions():
        try:
            entries |= dict.fromkeys(each.entry_points.select(group=PROJECT))
        except Exception as error:
            broken.append(f"{UNREADABLE} {source(each)} could not be read ({in_one_line(error)})")
    return list(entries), broken


def named(entry: EntryPoint) -> str:
    """A plugin by its name, with the name and version of its distribution."""
    return f"plugin {entry.name!r}" + (f" of {source(entry.dist)}" if entry.dist else "")


def source(distribution: Distribution) -> str:
    """Name and version of a distribution, or where it is."""
    with contextlib.suppress(Exception):
        if distribution.metadata["Name"] and distribution.version:
            return cut(f"{distribution.metadata['Name']} {distribution.version}")
    return cut(f"a distribution without name or version in {distribution.locate_file('')}")


def _components(answer: Any) -> list[Component]:
    """What a hook returned, if it is a list of valid components, each of a known kind."""
    for each in answer if isinstance(answer, list | tuple) else [answer]:
        if type(each) is not Component:
            raise TypeError(f"crt_components: expected a list of Component, got {each!r}")
        for field in attrs.fields(Component):
            if field.validator:  # also where a plugin has turned validators off
                field.validator(each, field, getattr(each, field.name))
        if not issubclass(each.spec, KINDS.get(each.kind, ())) or each.spec in KINDS.values():
            raise TypeError(f"component {each.name!r}: expected a spec of a known kind, got {each.spec!r}")
        if issubclass(each.spec, ExperimentSpec):
            _tables(each.name, each.spec)
    return list(answer)


def _tables(name: str, spec: type[ExperimentSpec]) -> None:
    """Raises: TypeError if an experiment does not say which tables it reads."""
    tables: dict[str, Any] = {table: getattr(spec, table, None) for table in ("roles", "stages")}
    for table, what in tables.items():
        if not isinstance(what, Mapping):
            raise TypeError(f"experiment {name!r}: expected a mapping as its {table}, got {what!r}")
    for drawn, kind in ((spec.figures, Figure), (spec.trade_offs, TradeOff)):
        if not isinstance(drawn, tuple) or not all(isinstance(each, kind) for each in drawn):
            raise TypeError(f"experiment {name!r}: expected a tuple of {kind.__name__}, got {drawn!r}")
    for role, each in tables["roles"].items():
        if type(role) is not str or type(each) is not Role or each.kind not in KINDS:
            raise TypeError(f"experiment {name!r}: expected roles of known kinds, got {role!r}: {each!r}")
    for stage, role in tables["stages"].items():
        if type(stage) is not str or role not in tables["roles"]:
            raise TypeError(f"experiment {name!r}: expected stages with roles, got {stage!r}: {role!r}")
