"""Options that several commands of this package share."""

from __future__ import annotations

from pathlib import Path

import click

runs_folder = click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of runs."
)
on = click.option(
    "--on", metavar="EXECUTOR",
    help="Where pieces of work run: local, or local(workers=2); `crt list executor` lists them.",
)  # fmt: skip
