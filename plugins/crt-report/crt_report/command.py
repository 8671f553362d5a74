"""`crt report`: draws the report of a finished run or sweep again."""

from __future__ import annotations

from pathlib import Path

import click

from crt_cli.console import as_json, needs, reports_errors, say


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@as_json
@reports_errors
def report(folder: Path, as_json: bool) -> int:
    """Draw the report of a finished run or sweep again, and print its numbers."""
    needs("run", "torch", "scipy", "matplotlib", "jinja2", "safetensors")
    from crt_report.page import render
    from crt_run.present.results import print_results

    page = render(folder)
    problem = "\n".join(page.problems)
    print_results(folder, as_json=as_json, made={"report": str(page.path)}, **({"error": problem} if problem else {}))
    if problem:
        say(problem)
    return int(bool(problem))
