"""`crt runs`, which lists, compares and removes runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crt_cli.console import answer, as_json, needs, reports_errors, say, warn
from crt_run.cli.options import runs_folder

if TYPE_CHECKING:
    from crt_run.runs.listing import Listed

table_format = click.option(
    "--format", "form", type=click.Choice(["table", "csv", "markdown"]), default="table", show_default=True,
    help="How to print it.",
)  # fmt: skip


@click.group("runs", invoke_without_command=True)
@runs_folder
@as_json
@click.pass_context
def all_runs(context: click.Context, runs: Path, as_json: bool) -> None:
    """List, compare and remove runs; without a command, list all."""
    given = {"runs": runs, "as_json": as_json}
    if context.invoked_subcommand is None:
        context.invoke(list_runs, **given)
    context.default_map = dict.fromkeys(all_runs.commands, given)


@all_runs.command("list")
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
@click.option("--where", multiple=True, metavar="PATH=VALUE", help="Only runs with this setting, as prior.layers=2.")
@runs_folder
@table_format
@as_json
@reports_errors
def list_runs(
    patterns: tuple[str, ...] = (), *, where: tuple[str, ...] = (), runs: Path = Path("runs"), form: str = "table",
    as_json: bool = False,
) -> None:  # fmt: skip
    """List runs, oldest first.

    PATTERN is a name, NAME/HASH, or a glob of them. As CSV and Markdown, and with --json, each run has all its numbers.
    """
    needs("run", "filelock", "tomli")
    from crt_run.runs import listing

    listed, broken = listing.list_runs(runs, patterns, where)
    warn(broken)
    if as_json:
        answer({"runs": [_values(run) for run in listed], "broken": broken})
        return
    if not listed:
        say(f"no run in {runs} fits" if patterns or where else f"no runs in {runs}")
        return
    rows: list[tuple[str, ...]] = [("run", "status", "seed", "started", "minutes"), *map(_row, listed)]
    if form != "table":
        names = list(dict.fromkeys(name for run in listed for name in run.numbers))
        rows[0] = (*rows[0], *names)
        rows[1:] = [(*row, *_exact(run, names)) for row, run in zip(rows[1:], listed, strict=True)]
    _print(rows, form, numeric=2)


@all_runs.command()
@click.argument("names", nargs=-1, required=True, metavar="RUN RUN...")
@runs_folder
@table_format
@as_json
@reports_errors
def compare(names: tuple[str, ...], *, runs: Path, form: str, as_json: bool) -> None:
    """Show finished runs side by side.

    The settings in which they differ, then their numbers. RUN is NAME/HASH, of which the first digits are enough, the
    NAME of a single run, or a folder.
    """
    needs("run", "filelock", "tomli")
    from crt_run.present.tables import label, spread
    from crt_run.runs import listing

    listed = _named(names, runs)
    settings = listing.differing(listed)
    numbers = list(dict.fromkeys(name for run in listed for name in run.numbers))
    if as_json:
        answer({"runs": [_values(run) for run in listed], "differ": settings})
        return
    rows = [("", *(f"{run.name}/{run.hash}" for run in listed))]
    rows += [(path, *values) for path, values in settings.items() if path != "name"]
    for name in numbers:
        unit = next(run.numbers[name]["unit"] for run in listed if name in run.numbers)
        if form == "csv":
            rows.append((f"{name} ({unit})", *(_exact(run, [name])[0] for run in listed)))
        else:
            cells = (spread(run.numbers[name]) if name in run.numbers else "not measured" for run in listed)
            rows.append((f"{label(name)} ({unit})", *cells))
    _print(rows, form, numeric=1)


@all_runs.command("remove")
@click.argument("names", nargs=-1, required=True, metavar="RUN...")
@click.option("--stages", is_flag=True, help="Also remove weights of stages that no other run uses.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@runs_folder
@as_json
@reports_errors
def remove_runs(names: tuple[str, ...], *, stages: bool, yes: bool, runs: Path, as_json: bool) -> int:
    """Remove runs, after a question.

    RUN is as in `compare`, finished or not. What is no run stays, and so do the weights of stages, which runs share.
    """
    needs("run", "filelock", "tomli")
    from crt_run.runs import listing

    folders = [run.folder for run in _named(names, runs, finished=False)]
    before = set(listing.unused_stages(runs)) if stages else set()
    unused = [path for path in listing.unused_stages(runs, folders) if path not in before] if stages else []
    for path in (*folders, *unused):
        say(f"{path}: {listing.size(path) / 1e6:,.1f} MB")
    if not yes and not click.confirm(f"Remove {len(folders)} run(s) and {len(unused)} stage(s)?", err=True):
        say("nothing was removed")
        return 1
    for path in (*folders, *unused):
        listing.remove(path)
    if as_json:
        answer({"removed": [str(path) for path in (*folders, *unused)]})
    else:
        click.echo(f"removed {len(folders)} run(s) and {len(unused)} stage(s)")
    return 0


def _named(names: Sequence[str], runs: Path, *, finished: bool = True) -> list[Listed]:
    """The runs of these names, each once.

    Raises: RunError if one does not exist, or is not clear.
    """
    from crt_run.runs.find import find_run
    from crt_run.runs.listing import read_run

    folders = dict.fromkeys(find_run(name, runs, finished=finished) for name in names)
    return [read_run(folder) for folder in folders]


def _row(run: Listed) -> tuple[str, ...]:
    started = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.about["started"]))
    minutes = "" if run.seconds is None else f"{run.seconds / 60:.1f}"
    return f"{run.name}/{run.hash}", run.status, str(run.about["seed"]), started, minutes


def _exact(run: Listed, names: Sequence[str]) -> tuple[str, ...]:
    """Numbers in full; empty where a run has none."""
    return tuple(repr(run.numbers[name]["value"]) if name in run.numbers else "" for name in names)


def _values(run: Listed) -> dict[str, Any]:
    return {
        "name": run.name, "hash": run.hash, "folder": str(run.folder), "status": run.status, "seed": run.about["seed"],
        "started": run.about["started"], "seconds": run.seconds, "numbers": dict(run.numbers),
    }  # fmt: skip


def _print(rows: Sequence[Sequence[str]], form: str, *, numeric: int) -> None:
    """A table on stdout, whose columns from `numeric` on are numbers."""
    from crt_run.present.export import as_csv, markdown

    if form != "table":
        click.echo(as_csv(rows) if form == "csv" else markdown(rows))
        return
    from rich.table import Table

    from crt_cli.layout import show

    table = Table()
    for place, heading in enumerate(rows[0]):
        table.add_column(heading, justify="right" if place >= numeric else "left")
    for row in rows[1:]:
        table.add_row(*row)
    show(table)
