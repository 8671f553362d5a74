"""What every command shares: its options, where it prints, and how it ends.

Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import functools
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec

import click

from crtcore.errors import RunError, SpecError, in_one_line
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
"""Characters of a line of a table where there is no terminal."""
INTERRUPTED = 130
PREEMPTED = 75
"""Exit status after SIGTERM: saved, give the same command again (EX_TEMPFAIL)."""


class Terminated(BaseException):
    """SIGTERM came."""


def say(line: str) -> None:
    """One line for the user, on stderr."""
    click.echo(line, err=True)


def columns(rows: list[tuple[str, ...]]) -> None:
    """Rows in columns on stdout, the first row a heading; the last column wraps at the width of the terminal."""
    import textwrap

    width = WIDE
    if sys.stdout.isatty():
        import shutil

        width = shutil.get_terminal_size().columns
    *widths, last = (max(map(len, cells)) for cells in zip(*rows, strict=True))
    last = min(last, max(width - sum(widths) - 2 * len(widths), 20))
    lines: list[str] = []
    for *cells, text in rows:
        for part in textwrap.wrap(text, last) or [""]:
            line = "  ".join(map(str.ljust, (*cells, part), (*widths, last)))
            lines.append(line if lines else click.style(line, bold=True))
            cells[:] = [""] * len(cells)
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

        signal.signal(signal.SIGTERM, _terminate)
        try:
            sys.exit(command(*args, **kwargs) or 0)
        except SpecError as error:
            problems = [{"where": p.where, "path": list(p.path), "message": p.message} for p in error.problems]
            fail(2, str(error), problems=problems)
        except (NotInstalled, NameClash) as error:
            fail(2, str(error.args[0]))
        except KeyboardInterrupt:
            fail(INTERRUPTED, "stopped; what is finished is kept, and the same command goes on from there")
        except Terminated:
            fail(PREEMPTED, "terminated; what is finished is kept, and the same command goes on from there")
        except RunError as error:
            fail(1, str(error))
        except OSError as error:
            fail(1, f"cannot use {error.filename}: {error.strerror}")

    return wrapped


def _terminate(*_: Any) -> None:
    raise Terminated


def warn(registry: Registry) -> None:
    """Names the plugins that could not be loaded."""
    for plugin, error in registry.broken.items():
        say(f"warning: plugin {plugin!r} could not be loaded ({in_one_line(error)})")
