"""`crt new-plugin`: writes a package to begin with."""

from __future__ import annotations

from pathlib import Path

import click

from crt_cli.console import answer, as_json, reports_errors, say
from crt_laws.scaffold.kinds import TEMPLATES


@click.command("new-plugin")
@click.argument("name")
@click.option("--kind", required=True, metavar="KIND", help=f"What it brings: {', '.join(TEMPLATES)}.")
@click.option(
    "--into", type=click.Path(path_type=Path), default=Path(), metavar="FOLDER", help="Where; here by default."
)
@as_json
@reports_errors
def new_plugin(name: str, kind: str, into: Path, as_json: bool) -> int:
    """Write a package NAME, such as crt-mine, with one component of KIND that keeps all laws.

    It has a spec, a component that does something small and real, tests, a README and a file for GitHub's CI.
    """
    from crt_laws.scaffold.render import written

    files = [str(path) for path in written(name, kind, into)]
    if as_json:
        answer({"name": name, "kind": kind, "files": files})
        return 0
    for path in files:
        click.echo(path)
    say(f"next: cd {into / name}; python -m pip install -e '.[testing]'; pytest; then change what it does")
    say("choose a licence: README.md has what to write where")
    return 0
