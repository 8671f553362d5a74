"""What commands of packages share beside the front's own: tables, and what must be installed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from crtcore.cli.console import WIDE
from crtcore.errors import RunError

if TYPE_CHECKING:
    from rich.console import RenderableType


def show(table: RenderableType) -> None:
    """A table on stdout, as wide as the terminal; where there is none, as wide as it needs."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
    console.print(table)


def needs(extra: str, *modules: str) -> None:
    """Raises: RunError with what to install if a module is missing."""
    import importlib.util

    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise RunError(f"this command needs {', '.join(missing)}: pip install 'crtcore[{extra}]'")
