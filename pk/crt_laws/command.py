"""`crt laws`: tests installed components against the laws of their kinds."""

from __future__ import annotations

import click

from crt_cli.console import as_json, installed, needs, reports_errors
from crt_run.cli.interrupts import interruptible


@click.command()
@click.argument("name", required=False)
@click.option("--law", metavar="LAW", help="Test this law alone.")
@click.option("--explain", is_flag=True, help="Print what each law demands and whether it applies; test nothing.")
@as_json
@reports_errors
def laws(name: str | None, law: str | None, explain: bool, as_json: bool) -> int:
    """Test every installed component, or NAME (or KIND/NAME), against the laws of its kind."""
    needs("testing", "torch", "hypothesis")
    from crt_laws import trial

    registry = installed()
    with interruptible():
        return (trial.explain if explain else trial.trial)(registry, name, law, as_json=as_json)
