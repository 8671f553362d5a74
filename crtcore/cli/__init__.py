"""The command `crt`. Nothing here imports torch before a command needs it."""

from crtcore.cli.commands import main

__all__ = ["main"]
