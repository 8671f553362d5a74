"""`crt laws`: the laws of every kind, tried on everything installed."""

from __future__ import annotations

import click

from crtcore.cli.console import as_json, needs, reports_errors, warn
from crtcore.registry import discover


@click.command()
@click.argument("name", required=False)
@as_json
@reports_errors
def laws(name: str | None, as_json: bool) -> int:
    """Try the laws of its kind on every installed component, or on NAME (or KIND/NAME)."""
    needs("testing", "torch", "hypothesis")
    from crt_laws.trial import trial

    registry = discover()
    warn(registry)
    return trial(registry, name, as_json=as_json)
