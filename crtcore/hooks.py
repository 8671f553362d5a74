"""The hooks by which a package brings components and commands, and hears of runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pluggy

from crtcore.spec import Spec

PROJECT = "crtcore"
"""pluggy's project name, and the entry-point group."""
INTERFACE = 1
"""What plugins are made for: a module that needs another one has its number as `CRT_INTERFACE`, and is left out."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


def _small(component: Component, _: attrs.Attribute[tuple[Spec, ...]], examples: tuple[Spec, ...]) -> None:
    if type(examples) is not tuple or not examples:
        raise ValueError(f"component {component.name!r}: expected a tuple of specs as examples, got {examples!r}")
    for example in examples:
        if type(example) is not component.spec:
            raise ValueError(
                f"component {component.name!r}: expected examples of {component.spec.__name__}, got {example!r}"
            )


def _texts(_: Component, attribute: attrs.Attribute[Any], value: Any) -> None:
    for each in (*value, *value.values()) if isinstance(value, Mapping) else (value,):
        if type(each) is not str:
            raise TypeError(f"component: expected strings as its {attribute.name}, got {value!r}")


def _own(component: Component, _: attrs.Attribute[type[Spec]], spec: type[Spec]) -> None:
    if type(spec) is not type or "__attrs_attrs__" not in vars(spec) or not issubclass(spec, Spec):
        raise TypeError(f"component {component.name!r}: expected an attrs class that extends Spec, got {spec!r}")


@attrs.frozen
class Component:
    """One component: its name in TOML, its spec, one line on what it is, and small examples.

    The examples are what `crt show` prints, what the documentation runs and what the laws are tried on.
    """

    name: str = attrs.field(validator=[_texts, attrs.validators.matches_re(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")])
    spec: type[Spec] = attrs.field(kw_only=True, validator=_own)
    summary: str = attrs.field(kw_only=True, validator=_texts)
    examples: tuple[Spec, ...] = attrs.field(kw_only=True, validator=_small)
    departs: Mapping[str, str] = attrs.field(kw_only=True, factory=dict, validator=_texts)
    """Laws of its kind that it cannot keep, each with the reason: they must fail, or the departure is struck out."""

    @property
    def kind(self) -> str:
        """The kind of its spec."""
        return self.spec.kind


class Hooks:
    """What a plugin may implement."""

    @hookspec
    def crt_components(self) -> list[Component]:  # type: ignore[empty-body]
        """The components this package brings: pure data, no torch, nothing registered on the way."""

    @hookspec
    def crt_commands(self) -> list[Any]:  # type: ignore[empty-body]
        """The commands of click that this package adds to `crt`: nothing heavy is imported before one of them runs."""

    @hookspec
    def crt_run_started(self, folder: Path, spec: Mapping[str, Any]) -> None:
        """Called when the run in `folder`, one of a sweep or not, starts or goes on; `spec` is its resolved file."""

    @hookspec
    def crt_reading(self, folder: Path, stage: str, step: int, name: str, value: float) -> None:
        """Called for each number that a stage records, in the order of its steps; a run that goes on has all again."""

    @hookspec
    def crt_checkpoint_saved(self, folder: Path, stage: str, step: int, checkpoint: Path) -> None:
        """Called once weights are saved in the folder `checkpoint`; the next ones replace it."""

    @hookspec
    def crt_run_ended(self, folder: Path, problem: str | None) -> None:
        """Called when a run that started has ended; `problem` is why it has no result, None: it has one."""

    @hookspec
    def crt_run_finished(self, folder: Path) -> Path | None:
        """Called once a run or a sweep in `folder` has a result; returns the file that was made of it, if any."""
