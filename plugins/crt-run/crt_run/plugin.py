"""The component and the commands that this package brings."""

from __future__ import annotations

import click

from crt_run.executors.spec import Local
from crtcore.hooks import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """The executor."""
    return [
        Component("local", spec=Local, summary="processes on this machine", examples=(Local(),)),
    ]


@hookimpl
def crt_commands() -> list[click.Command]:
    """`crt run`, `crt sweep`, `crt rehearse`, `crt show`, `crt schema`, `crt sample`, `crt score` and `crt runs`."""
    from crt_run.cli.commands import rehearsal, run, schema, show_component, sweep
    from crt_run.cli.runs import all_runs
    from crt_run.cli.sample import sample
    from crt_run.cli.score import score

    return [run, sweep, rehearsal, show_component, schema, sample, score, all_runs]
