"""The command `crt` with the commands of all packages, as sphinx-click takes it."""

from __future__ import annotations

import click

from crt_cli.commands import main

_context = click.Context(main)
_commands = {name: main.get_command(_context, name) for name in main.list_commands(_context)}
crt = click.Group(
    "crt",
    commands={name: command for name, command in _commands.items() if command},
    help=main.help,
    epilog=main.epilog,
    context_settings=main.context_settings,
)
