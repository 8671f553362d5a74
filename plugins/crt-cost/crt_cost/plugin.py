"""The command that this package brings."""

from __future__ import annotations

import click

from crtcore.hooks import hookimpl


@hookimpl
def crt_commands() -> list[click.Command]:
    """`crt cost`."""
    from crt_cost.command import cost

    return [cost]
