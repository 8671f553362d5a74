"""What this package adds to `crt`: a command."""

from __future__ import annotations

import click

from crtcore.hooks import hookimpl


@hookimpl
def crt_commands() -> list[click.Command]:
    """`crt laws`."""
    from crt_laws.command import laws

    return [laws]
