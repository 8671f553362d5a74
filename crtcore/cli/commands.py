"""The commands of `crt`."""

from __future__ import annotations

import importlib.util
import io
import shlex
import sys
from pathlib import Path
from typing import Any

import click

import crtcore
from crt_cost.devices import DEVICES
from crtcore.cli import describe
from crtcore.cli.console import Watch, answer, say, show, told
from crtcore.compose.document import Problem, SpecError
from crtcore.compose.plan import load
from crtcore.compose.study import Study
from crtcore.errors import RunError, in_one_line
from crtcore.registry import Registry, discover

as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout, and nothing else there."
)
overrides = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one value, such as bottleneck.codes=128."
)
spec_file = click.argument("spec", type=click.Path(path_type=Path))
runs_folder = click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Where runs go."
)
quiet = click.option("--quiet", is_flag=True, help="Plain lines instead of a progress bar.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(crtcore.__version__, prog_name="crt")
def main() -> None:
    """Compression against generation: compose, run and check experiments."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without such characters


def _needs(extra: str, *modules: str) -> None:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise RunError(f"this command needs {', '.join(missing)}: pip install 'crtcore[{extra}]'")


def _warn(registry: Registry) -> None:
    for plugin, error in registry.broken.items():
        say(f"warning: plugin {plugin!r} could not be loaded ({in_one_line(error)})")


@main.command()
@spec_file
@overrides
@runs_folder
@as_json
@quiet
@told
def run(spec: Path, overrides: tuple[str, ...], runs: Path, as_json: bool, quiet: bool) -> int:
    """Run a spec file, or go on where it stopped; a finished one shows its result."""
    registry = discover()
    _warn(registry)
    return _study(load(spec, registry, overrides), runs, as_json=as_json, quiet=quiet)


@main.command()
@spec_file
@overrides
@runs_folder
@as_json
@quiet
@told
def sweep(spec: Path, overrides: tuple[str, ...], runs: Path, as_json: bool, quiet: bool) -> int:
    """Run every point of a spec file's [sweep], as `run` does."""
    registry = discover()
    _warn(registry)
    study = load(spec, registry, overrides)
    if not study.swept:
        raise SpecError(
            [Problem(str(spec), ("sweep",), f"expected a table, got none; `crt run {spec}` runs one point")]
        )
    return _study(study, runs, as_json=as_json, quiet=quiet)


def _study(study: Study, runs: Path, *, as_json: bool, quiet: bool) -> int:
    """Runs a study, writes its report, prints its numbers; 1 if a point has no result.

    Raises: RunError if no point has one.
    """
    _needs("run", "torch", "scipy", "matplotlib", "jinja2", "safetensors", "filelock")
    from crt_report import page
    from crt_run.runs.run import address
    from crt_run.sweeps import sweep
    from crt_run.sweeps.summary import gather

    with Watch(study, quiet=quiet or as_json) as watch:
        ended = sweep.run(study, runs, watch)
    problem = sweep.failed(study, ended)
    folder = gather(study, runs, ended) if study.swept else address(study.points[0].plan, runs)
    if problem and not ended.results:
        raise problem
    page.render(folder)
    command = shlex.join(["crt", *sys.argv[1:]])
    _tell(folder, as_json=as_json, command=command, **({"error": str(problem)} if problem else {}))
    if problem:
        say(str(problem))
    return int(problem is not None)


def _tell(folder: Path, *, as_json: bool, **more: str) -> None:
    """Prints the numbers of a finished run or sweep, what they ran on, and where the report is."""
    from crt_report import page
    from crt_run.present import tables
    from crt_run.present.sentences import sentences
    from crt_run.runs.provenance import ran_on
    from crt_run.runs.records import RESULT, read_json
    from crt_run.sweeps.summary import SWEEP

    swept = (folder / SWEEP).is_file()
    values = read_json(folder / (SWEEP if swept else RESULT))
    if as_json:
        answer({**values, "folder": str(folder), "report": str(folder / page.PAGE), **more})
        return
    if tables.units(values) if swept else values["numbers"]:
        show(tables.comparison(values) if swept else tables.single(values))
    if "points" in values:
        show(tables.points(values))
    for line in tables.verdicts(values) if swept else ():
        click.echo(f"claim: {line}")
    for line in sentences(values):
        click.echo(f"found: {line}")
    ran = values["ran_on"] if swept else ran_on([folder])
    for name, found in (tables.together(ran["backends"]) | ran["settings"]).items():
        click.echo(f"ran on: {name}: {', '.join(found)}")
    for name, found in ((name, found) for facts in ran.values() for name, found in facts.items() if len(found) > 1):
        say(f"warning: the runs differ in {name}: {', '.join(found)}")
    click.echo(f"report: {folder / page.PAGE}")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@as_json
@told
def report(folder: Path, as_json: bool) -> None:
    """Draw the report of a finished run or sweep again, and print its numbers."""
    _needs("run", "torch", "scipy", "matplotlib", "jinja2", "safetensors")
    from crt_report import page

    page.render(folder)
    _tell(folder, as_json=as_json)


@main.command()
@spec_file
@overrides
@click.option("--cost", is_flag=True, help="Tell what each stage would cost to train.")
@click.option("--device", type=click.Choice(list(DEVICES)), help="With --cost: how long that takes on one of these.")
@as_json
@told
def check(spec: Path, overrides: tuple[str, ...], cost: bool, device: str | None, as_json: bool) -> None:
    """Check a spec file without running it: everything wrong with it, or what it would run and cost."""
    if device and not cost:
        raise click.UsageError("expected --cost beside --device")
    registry = discover()
    study = load(spec, registry, overrides)
    points: list[dict[str, Any]] = [
        {
            "arm": point.arm,
            "grid": list(point.grid),
            "seed": point.plan.seed,
            "hash": point.plan.hash,
            "steps": {stage: training.steps for stage, training in point.plan.training.items()},
        }
        for point in study.points
    ]
    if cost:
        _needs("run", "torch", "numpy", "jaxtyping", "safetensors", "filelock")
        from crt_cost import command as costs

        found = costs.costed(study, device)
        points = [{**point, "cost": stages} for point, stages in zip(points, found, strict=True)]
    if as_json:
        answer({"name": study.name, "points": points, "spec": [dict(point.plan.document) for point in study.points]})
        return
    _warn(registry)
    steps = sum(point.plan.experiment.training_steps(point.plan) for point in study.points)
    click.echo(f"{spec}: right; {len(points)} run(s), {steps} training steps")
    if cost:
        costs.tell(study, found, device)


@main.command("list")
@click.argument("kind", required=False)
@as_json
@told
def list_(kind: str | None, as_json: bool) -> None:
    """List the installed components, of one KIND or of all."""
    describe.listing(discover(), kind, as_json=as_json)


@main.command("show")
@click.argument("name")
@as_json
@told
def show_(name: str, as_json: bool) -> None:
    """Show a component, NAME or KIND/NAME: what it is, its fields, an example."""
    describe.showing(discover(), name, as_json=as_json)


@main.command()
@as_json
@told
def schema(as_json: bool) -> None:
    """Print the JSON Schema of spec files, for editors, with everything installed."""
    from crtcore.cli.schema import schema as made

    answer(made(discover()))


@main.command()
@as_json
@told
def kernels(as_json: bool) -> None:
    """List the installed kernels: what they are compiled for, and what they have run on."""
    describe.kernels(as_json=as_json)


@main.command()
@click.argument("name", required=False)
@as_json
@told
def laws(name: str | None, as_json: bool) -> int:
    """Try the laws of its kind on every installed component, or on NAME (or KIND/NAME)."""
    _needs("testing", "torch", "hypothesis")
    from crt_laws.command import trial

    registry = discover()
    _warn(registry)
    return trial(registry, name, as_json=as_json)
