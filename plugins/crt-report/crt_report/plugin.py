"""What this package adds: a command, and a page for every finished run or sweep."""

from __future__ import annotations

from pathlib import Path

import click

from crtcore.hooks import hookimpl


@hookimpl
def crt_commands() -> list[click.Command]:
    """`crt report`."""
    from crt_report.command import report

    return [report]


@hookimpl
def crt_run_finished(folder: Path) -> Path:
    """The report's page."""
    from crt_report.page import render

    return render(folder)
