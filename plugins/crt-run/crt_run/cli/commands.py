"""`crt run` and `crt sweep`, which run the unfinished points of a spec file, and `crt schema`."""

from __future__ import annotations

import shlex
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crt_cli.console import answer, as_json, installed, loaded, needs, overrides, reports_errors, say, spec_file, warn
from crt_run.cli.interrupts import interruptible
from crt_run.cli.options import on, runs_folder
from crt_run.cli.over_ranks import here, over_ranks
from crt_run.cli.parts import overrides_of
from crtcore.errors import Problem, SpecError
from crtcore.registry import answers

if TYPE_CHECKING:
    from crtcore.compose.study import Study
    from crtcore.kinds import Json

KEPT = "; what is finished is kept, and the same command goes on from there"

quiet = click.option("--quiet", is_flag=True, help="Print plain lines instead of a progress bar.")
track = click.option(
    "--track", multiple=True, envvar="CRT_TRACK", metavar="NAME", show_envvar=True,
    help="Send readings to a tracker: trackio, tensorboard, mlflow or wandb (crt-track); offline.",
)  # fmt: skip
fresh = click.option("--fresh", is_flag=True, help="Do again what other versions of the code made.")


@click.command()
@spec_file
@overrides
@runs_folder
@on
@track
@as_json
@quiet
@fresh
@over_ranks
def run(
    spec: Path, overrides: tuple[str, ...], *, runs: Path, on: str | None, track: tuple[str, ...], as_json: bool,
    quiet: bool, fresh: bool,
) -> int:  # fmt: skip
    """Run a spec file, or resume it where it stopped; print its result."""
    return _study(loaded(spec, _with(overrides, on)), runs, track=track, as_json=as_json, quiet=quiet, fresh=fresh)


@click.command()
@spec_file
@overrides
@runs_folder
@on
@track
@as_json
@quiet
@fresh
@over_ranks
def sweep(
    spec: Path, overrides: tuple[str, ...], *, runs: Path, on: str | None, track: tuple[str, ...], as_json: bool,
    quiet: bool, fresh: bool,
) -> int:  # fmt: skip
    """Run every point of a spec file's [sweep]; as `run`, but requires a [sweep]."""
    study = loaded(spec, _with(overrides, on))
    if not study.swept:
        raise SpecError(
            [Problem(str(spec), ("sweep",), f"expected a table, got none; `crt run {spec}` runs one point")]
        )
    return _study(study, runs, track=track, as_json=as_json, quiet=quiet, fresh=fresh)


def _with(overrides: tuple[str, ...], on: str | None) -> tuple[str, ...]:
    """The overrides, and those of the executor that is named."""
    return overrides if on is None else (*overrides, *overrides_of(on, "--on", "executor"))


def _study(study: Study, runs: Path, *, track: tuple[str, ...], as_json: bool, quiet: bool, fresh: bool) -> int:
    """Runs a study, prints its numbers and the files that plugins made; returns 1 if a point has no result.

    Raises: RunError if no point has a result.
    """
    needs("run", "torch", "scipy", "safetensors", "filelock")
    build = None
    if ranks := here():
        from crt_run.ranks.work import OverRanks, follow, same

        same(ranks, study, fresh=fresh)
        if not ranks.first:
            return follow(ranks)
        say(f"{ranks.size} ranks, {ranks.backend}: each step's batch is cut into {ranks.size} shares")
        build = partial(OverRanks, ranks, study.executor)
    from crt_run.cli.tracking import tracked
    from crt_run.cli.watch import Watch
    from crt_run.events import Listeners
    from crt_run.present.results import print_results
    from crt_run.runs.contents import identified
    from crt_run.runs.run import address
    from crt_run.sweeps import sweep
    from crt_run.sweeps.summary import gather

    study = identified(study, runs)
    tracked(track)
    with interruptible(KEPT), Listeners(say) as listeners, Watch(study, quiet=quiet or as_json) as watch:

        def report(index: int, event: Json) -> None:
            watch(index, event)
            listeners(index, event)

        ended = sweep.run(study, runs, report, fresh=fresh, build=build)
    if ranks:
        ranks.end()
    problem = sweep.failed(study, ended)
    folder = gather(study, runs, ended) if study.swept else address(study.points[0].plan, runs)
    if problem and not ended.results:
        raise problem
    made = {plugin: str(path) for plugin, path in _listeners(folder)}
    command = shlex.join(["crt", *sys.argv[1:]])
    print_results(folder, as_json=as_json, made=made, command=command, **({"error": str(problem)} if problem else {}))
    if problem:
        say(str(problem))
    return int(problem is not None)


def _listeners(folder: Path) -> list[tuple[str, Path]]:
    """The files that plugins made of a finished run or sweep; one that fails causes a warning only."""
    made, broken = answers("crt_run_finished", limited=False, folder=folder)
    warn(broken)
    return [(entry.name, path) for entry, path in made]


@click.command("rehearse")
@spec_file
@overrides
@as_json
@reports_errors
def rehearsal(spec: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Run a step of every stage and every metric of a spec file on a few samples; `run` begins with it."""
    from crt_cli.commands import outline, summary

    study = loaded(spec, overrides)
    needs("run", "torch", "scipy", "safetensors", "filelock")
    from crt_run.runs.rehearse import rehearse

    with interruptible():
        seconds = rehearse(study, study.points)
    if as_json:
        answer({**outline(study), "rehearsed": seconds})
        return
    click.echo(summary(spec, study))
    for group, each in seconds.items():
        click.echo(f"{group}: rehearsed in {each:.1f} s")


@click.command("show")
@click.argument("name")
@as_json
@reports_errors
def show_component(name: str, as_json: bool) -> None:
    """Show a component (NAME or KIND/NAME), a kind, or a key of spec files such as sweep: fields and a snippet."""
    from crt_run.cli.describe import showing

    showing(installed(), name, as_json=as_json)


@click.command()
@click.option("--markdown", is_flag=True, help="Print the reference of spec files for people instead.")
@as_json
@reports_errors
def schema(markdown: bool, as_json: bool) -> None:
    """Print the JSON Schema of spec files, with all installed components, for editors."""
    from crt_run.cli.describable import describable
    from crt_run.cli.reference import reference
    from crt_run.cli.schema import schema as schema_of

    registry, broken = describable(installed(), schema_of)
    warn(broken)
    if markdown and as_json:
        raise click.UsageError("expected --markdown or --json, got both")
    if markdown:
        click.echo(reference(registry), nl=False)
    else:
        answer(schema_of(registry))
