"""The command that this package brings, and a page for every finished run or sweep."""

from __future__ import annotations

from pathlib import Path

import click

from crt_cli.console import say
from crtcore.hooks import hookimpl


@hookimpl
def crt_commands() -> list[click.Command]:
    """`crt report`."""
    from crt_report.command import report

    return [report]


@hookimpl
def crt_run_finished(folder: Path) -> Path:
    """Writes the report of `folder`, and returns the path of its page."""
    from crt_report.page import render

    page = render(folder)
    for problem in page.problems:
        say(f"warning: {page.path} lacks a run: {problem}")
    return page.path
