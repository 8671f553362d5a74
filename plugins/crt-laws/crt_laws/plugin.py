"""What this package adds to `crt`: two commands."""

from __future__ import annotations

import click

from crtcore.hooks import hookimpl


@hookimpl
def crt_commands() -> list[click.Command]:
    """`crt laws` and `crt new-plugin`."""
    from crt_laws.command import laws
    from crt_laws.scaffold.command import new_plugin

    return [laws, new_plugin]
