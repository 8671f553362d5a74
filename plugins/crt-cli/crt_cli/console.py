"""What every command shares: its options, where it prints, and how it ends.

Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TextIO

import click

from crt_cli.guard import LEFT
from crtcore.errors import RunError, SpecError, cut
from crtcore.loading import Failed, call
from crtcore.registry import NotInstalled, Registry, discover

if TYPE_CHECKING:
    from crtcore.compose.study import Study

P = ParamSpec("P")

as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout, and nothing else there."
)
spec_file = click.argument("spec", type=click.Path(path_type=Path))


def overrides(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command `overrides`: values for keys of the spec file, by `--set` or after the file."""

    @click.option(
        "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one value, such as seed=3; "
        "--set may be left out after the file."
    )  # fmt: skip
    @click.argument("bare", nargs=-1, metavar="[KEY=VALUE]...")
    @functools.wraps(command)
    def wrapped(*args: Any, overrides: tuple[str, ...], bare: tuple[str, ...], **kwargs: Any) -> Any:
        if wrong := [word for word in bare if "=" not in word]:
            raise click.UsageError(f"expected KEY=VALUE after the file, such as seed=3, got {wrong[0]!r}")
        return command(*args, overrides=(*overrides, *bare), **kwargs)

    return wrapped


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

    text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
    click.echo(text, file=_answers[0] if _answers else None)


_answers: list[TextIO] = []
"""Where answers go while nothing else may: the streams of commands inside one another, the outermost first."""


def only_answers(context: click.Context) -> None:
    """From here on `answer` alone writes to stdout; the rest goes to stderr."""
    _answers.append(sys.stdout)
    context.call_on_close(_answers.pop)
    sys.stdout = sys.stderr


@contextlib.contextmanager
def whole_process() -> Iterator[None]:
    """Keeps stdout to the command: what else writes to descriptor 1, or when Python ends, writes to stderr."""
    if sys.stdout and sys.stderr:
        own = [os.fdopen(os.dup(s.fileno()), "w", 1, s.encoding, "replace") for s in (sys.stdout, sys.stderr)]
        sys.stdout, sys.stderr = own
        if not sys.stdout.isatty():
            os.dup2(2, 1)
        if "--json" in sys.argv:
            _answers.append(sys.stdout)
            sys.stdout = sys.stderr
    else:  # a closed one, which some releases of click write to
        sys.stdout, sys.stderr = sys.stdout or io.StringIO(), sys.stderr or io.StringIO()
    try:
        yield
    except SystemExit as ended:
        if any(thread.is_alive() for thread in LEFT):
            os._exit(ended.code if isinstance(ended.code, int) else 0)
        raise
    finally:
        sys.stdout = sys.stderr


def reports_errors(command: Callable[P, int | None]) -> Callable[P, None]:
    """Ends a command with its exit status, and any expected error with its message: no traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        def fail(status: int, message: str, **more: Any) -> None:
            if kwargs.get("as_json"):
                answer({"error": message, **more})
            say(message)
            sys.exit(status)

        if kwargs.get("as_json"):
            only_answers(click.get_current_context())
        try:
            sys.exit(command(*args, **kwargs) or 0)
        except SpecError as error:
            problems = [{"where": p.where, "path": list(p.path), "message": cut(p.message)} for p in error.problems]
            fail(2, str(error), problems=problems)
        except NotInstalled as error:
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


def installed() -> Registry:
    """Everything that is installed; names the plugins that are left out."""
    registry = discover()
    warn(registry.broken)
    return registry


def loaded(spec: Path, overrides: tuple[str, ...]) -> Study:
    """The study in a spec file.

    Raises: SpecError; RunError if code of a component raises what would end the process.
    """
    from crtcore.compose.plan import load

    try:
        study: Study = call("", load, spec, installed(), overrides, limited=False, expected=(Exception,))
    except Failed as failed:
        raise RunError(f"{spec}: a component of it raises {failed}") from None
    return study


def needs(extra: str, *modules: str) -> None:
    """Raises: RunError with what to install if a module is missing."""
    import importlib.util

    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise RunError(f"this command needs {', '.join(missing)}: pip install 'crtcore[{extra}]'")


def warn(lines: Iterable[str]) -> None:
    """Prints warnings, each once in a command."""
    context = click.get_current_context(silent=True)
    said: set[str] = set() if context is None else context.meta.setdefault(__name__, set())
    for line in lines:
        if line not in said:
            said.add(line)
            say(f"warning: {line}")
