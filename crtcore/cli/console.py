"""What every command shares: its options, where it prints, and how it ends.

Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import functools
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec

import click

from crtcore.errors import RunError, SpecError, cut, in_one_line
from crtcore.registry import NameClash, NotInstalled, Registry

P = ParamSpec("P")

as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout, and nothing else there."
)
overrides = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one value, such as bottleneck.codes=128."
)
spec_file = click.argument("spec", type=click.Path(path_type=Path))

WIDE = 200
"""Characters of a line of a table where there is no terminal, and no COLUMNS."""
STATUSES = "Exit status: 0 all is well, 1 a problem, 2 a wrong command or spec file, 130 Ctrl-C came, 143 SIGTERM came."


def say(line: str) -> None:
    """One line for the user, on stderr."""
    click.echo(line, err=True)


def room() -> int:
    """Characters of a line of output: COLUMNS if it is set, the width of the terminal, or `WIDE`."""
    return shutil.get_terminal_size((WIDE, 0)).columns


def columns(rows: list[tuple[str, ...]]) -> None:
    """Rows in columns on stdout, the first row a heading; the last column wraps, under the others if it must."""
    import textwrap

    *widths, last = (max(map(len, cells)) for cells in zip(*rows, strict=True))
    left = sum(widths) + 2 * len(widths)
    if below := room() < left + min(last, 20):
        left = 4
    last = max(min(last, room() - left), 20)
    lines: list[str] = []
    for *cells, text in rows:
        parts = textwrap.wrap(text, last) or [""]
        first = "  ".join(map(str.ljust, cells, widths))
        lines.append(first.rstrip() if below else f"{first}  {parts.pop(0)}".rstrip())
        if len(lines) == 1:
            lines = [click.style(lines[0], bold=True)]
        lines += [f"{'':{left}}{part}" for part in parts]
    click.echo("\n".join(lines))


def answer(values: Any) -> None:
    """One JSON document on stdout."""
    import json

    click.echo(json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False))


def reports_errors(command: Callable[P, int | None]) -> Callable[P, None]:
    """Ends a command with its exit status, and any expected error with its message: no traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        def fail(status: int, message: str, **more: Any) -> None:
            if kwargs.get("as_json"):
                answer({"error": message, **more})
            say(message)
            sys.exit(status)

        try:
            sys.exit(command(*args, **kwargs) or 0)
        except SpecError as error:
            problems = [{"where": p.where, "path": list(p.path), "message": cut(p.message)} for p in error.problems]
            fail(2, str(error), problems=problems)
        except (NotInstalled, NameClash) as error:
            fail(2, cut(str(error.args[0])))
        except KeyboardInterrupt as error:
            fail(getattr(error, "status", 130), str(error) or "stopped")
        except RunError as error:
            fail(1, str(error))
        except OSError as error:
            if error.filename is None:
                raise  # most likely of the output, for which `Commands.main` answers
            fail(1, f"cannot use {error.filename}: {error.strerror}")

    return wrapped


def warn(registry: Registry) -> None:
    """Names the plugins that could not be loaded."""
    for plugin, error in registry.broken.items():
        say(f"warning: plugin {plugin!r} could not be loaded ({in_one_line(error)})")
