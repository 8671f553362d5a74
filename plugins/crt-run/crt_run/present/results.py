"""The numbers of a finished run or sweep on a terminal, or as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from crt_cli.console import answer, say
from crt_cli.layout import show
from crt_run.present import tables
from crt_run.present.meanings import explained
from crt_run.present.sentences import sentences
from crt_run.runs.ended import SPEC, Ended
from crt_run.runs.provenance import ran_on
from crt_run.runs.records import listed
from crt_run.sweeps.summary import SWEEP, read_sweep
from crtcore.registry import discover


def print_results(folder: Path, *, as_json: bool, made: Mapping[str, str], **more: str) -> None:
    """Prints the numbers of a finished run or sweep, the environment, and the files that plugins made.

    `made` maps plugin to file; `more` are further entries of the JSON document.
    """
    swept = (folder / SWEEP).exists()
    values = read_sweep(folder) if swept else Ended(folder).result
    if as_json:
        answer({**values, "folder": str(folder), **made, **more})
        return
    if names := tables.units(values) if swept else values["numbers"]:
        spec = listed(folder, SPEC, values).decode() if swept else Ended(folder).spec
        meanings = explained(names, spec, discover())
        show((tables.comparison if swept else tables.single)(values, meanings))
    if "points" in values:
        show(tables.points(values))
    for line in tables.verdicts(values) if swept else ():
        click.echo(f"claim: {line}")
    for line in sentences(values):
        click.echo(f"result: {line}")
    ran = values["ran_on"] if swept else ran_on([folder])
    for name, each in (tables.together(ran["backends"]) | ran["settings"]).items():
        click.echo(f"ran on: {name}: {', '.join(each)}")
    for name, each in ((name, each) for facts in ran.values() for name, each in facts.items() if len(each) > 1):
        say(f"warning: the runs differ in {name}: {', '.join(each)}")
    for plugin, path in made.items():
        click.echo(f"{plugin}: {path}")
