"""The commands of `crt`: `check`, `list` and `cite`, and those that installed packages bring."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

import crtcore
from crt_cli import console, guard
from crt_cli.cite import cite
from crt_cli.console import (
    STATUSES,
    answer,
    as_json,
    columns,
    installed,
    loaded,
    overrides,
    reports_errors,
    say,
    spec_file,
)
from crtcore.errors import RunError, nearest
from crtcore.kinds import KINDS
from crtcore.registry import UNREADABLE, NotInstalled, answers, named
from crtcore.spec import names_files

if TYPE_CHECKING:
    from crtcore.compose.study import Study


QUIET = {"TORCH_DEVICE_BACKEND_AUTOLOAD": "0", "HYPOTHESIS_NO_PLUGINS": "1"}
"""Environment with which torch 2.13 and hypothesis 6 do not look for plugins of their own as they are imported: both
read the entry points of all distributions, and raise at the first that cannot be read."""


class Commands(click.Group):
    """A group whose further commands come from installed packages, which are asked once one is needed."""

    def main(self, args: Sequence[str] | None = None, *more: Any, **kwargs: Any) -> Any:
        """Runs a command; without `args`, as all of this process, whose arguments it takes.

        Calls of plugins' code are guarded. As click's, it is quiet where the reader of a pipe has gone; a full disk
        ends with one line too.
        """
        process = console.whole_process() if args is None else contextlib.redirect_stdout(sys.stdout)
        with process, guard.installed():
            try:
                return super().main(args, *more, **kwargs)
            except OSError as error:
                sys.stdout = io.StringIO()  # the one before would try again to write what it holds, and fail aloud
                say(f"the system reports: {error.strerror}")
                sys.exit(1)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; those of this package cannot be replaced."""
        return super().get_command(ctx, cmd_name) or self._brought.get(cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, sorted."""
        return sorted({*super().list_commands(ctx), *self._brought})

    @cached_property
    def _brought(self) -> dict[str, click.Command]:
        commands, broken = brought()
        console.warn(broken)
        if any(line.startswith(UNREADABLE) for line in broken):
            for name, value in QUIET.items():
                os.environ.setdefault(name, value)
        return commands


def brought(plugins: Iterable[EntryPoint] | None = None) -> tuple[dict[str, click.Command], list[str]]:
    """The commands that installed packages bring by name, and a line for each fault of a package.

    Of commands of one name none is there, but this package's own.
    """
    answered, broken = answers("crt_commands", plugins, check=_commands)
    owners: dict[str, list[EntryPoint | None]] = {name: [None] for name in main.commands}
    commands: dict[str, click.Command] = {}
    for entry, name, command in ((entry, name, each) for entry, given in answered for name, each in given.items()):
        owners.setdefault(name, []).append(entry)
        commands[name] = command
    for name, entries in owners.items():
        if len(entries) > 1:
            several = " and ".join(named(entry) if entry else "crt-cli" for entry in entries)
            broken.append(f"the command {name!r} comes from {several}; uninstall one of them")
    return {name: command for name, command in commands.items() if len(owners[name]) == 1}, broken


def _commands(answer: Any) -> dict[str, click.Command]:
    if not isinstance(answer, list | tuple) or not all(isinstance(each, click.Command) for each in answer):
        raise TypeError(f"crt_commands: expected a list of click commands, got {answer!r}")
    if unnamed := [each for each in answer if type(each.name) is not str]:
        raise TypeError(f"crt_commands: expected commands with names, got {unnamed[0]!r}")
    for each in answer:
        each.get_short_help_str()  # as `crt --help` does, where nobody would catch what it raises
    return {each.name: each for each in answer}


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=STATUSES)
@click.version_option(crtcore.__version__, prog_name="crt")
def main() -> None:
    """Compression against generation: compose, run and check experiments."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without such characters


@main.command()
@spec_file
@overrides
@click.option("--rehearse", is_flag=True, help="Then run a step of everything on a few samples, as `crt run` does.")
@click.option("--cost", is_flag=True, help="Estimate what each stage costs, as `crt cost` does.")
@click.option("--devices", "--device", help="With --cost: how long that takes on these, such as h100 or 8xh100.")
@as_json
@click.pass_context
@reports_errors
def check(
    context: click.Context, spec: Path, overrides: tuple[str, ...], *, rehearse: bool, cost: bool, devices: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Check a spec file without running it: everything wrong with it, or what it would run."""
    if devices is not None and not cost:
        raise click.UsageError("expected --cost beside --devices")
    if rehearse and cost:
        raise click.UsageError("expected one of --rehearse and --cost, got both")
    for wanted, name, package in ((rehearse, "rehearse", "crt-run"), (cost, "cost", "crt-cost")):
        if wanted:
            command = main.get_command(context, name)
            if command is None:
                raise RunError(f"this option needs {package}: pip install {package}")
            words = [str(spec), *(word for each in overrides for word in ("--set", each))]
            words += [] if devices is None else ["--devices", devices]
            command.main([*words, *(["--json"] if as_json else [])], prog_name=f"crt {name}")
    study = loaded(spec, overrides)
    if as_json:
        answer(outline(study))
        return
    click.echo(summary(spec, study))
    parts = {(role, part) for point in study.points for role, part in point.plan.parts.items()}
    for line in sorted({line for role, part in parts for line in absent(part, role)}):
        say(f"note: {line} is not there; a run needs it")


def outline(study: Study) -> dict[str, Any]:
    """A study as plain values: its points with their steps, and the resolved spec of each."""
    points = [
        {
            "arm": point.arm,
            "settings": dict(point.settings),
            "seed": point.plan.seed,
            "hash": point.plan.hash,
            "steps": {stage.name: stage.steps for stage in point.plan.stages},
        }
        for point in study.points
    ]
    return {"name": study.name, "points": points, "spec": [dict(point.plan.document) for point in study.points]}


def summary(spec: Path, study: Study) -> str:
    """One line on a study with nothing wrong."""
    steps = sum(stage.steps for point in study.points for stage in point.plan.stages)
    count = len(study.points)
    return f"{spec}: ok; {count} {'run' if count == 1 else 'runs'}, {steps:,} training steps"


def absent(part: Any, where: str) -> Iterator[str]:
    """Where a part, or one inside it, names a file or folder that is not there, and which."""
    for index, each in enumerate(part) if isinstance(part, tuple) else ():
        yield from absent(each, f"{where}.{index}")
    for field in attrs.fields(type(part)) if attrs.has(type(part)) else ():
        value, here = getattr(part, field.name), f"{where}.{field.name}"
        yield from (f"{here}: {path!r}" for path in names_files(field, value) if not os.path.exists(path))  # noqa: PTH110  # raises nothing
        yield from absent(value, here)


@main.command("list")
@click.argument("kind", required=False)
@as_json
@reports_errors
def list_(kind: str | None, as_json: bool) -> None:
    """List the installed components, of one KIND or of all."""
    if kind is not None and kind not in KINDS:
        raise NotInstalled(f"no kind is called {kind!r}{nearest(kind, list(KINDS))}")
    registry = installed()
    rows = [
        {"kind": component.kind, "name": component.name, "plugin": plugin, "summary": component.summary}
        for plugin, component in registry
        if kind in (None, component.kind)
    ]
    if as_json:
        answer({"components": rows, "broken": list(registry.broken)})
        return
    columns([("kind", "name", "from", "what it is"), *(tuple(row.values()) for row in rows)])


main.add_command(cite)
