"""`crt cost`: the costs of every point's stages."""

from __future__ import annotations

from pathlib import Path

import click

from crt_cli.commands import outline, summary
from crt_cli.console import answer, as_json, loaded, needs, overrides, reports_errors, spec_file
from crt_cost.devices import DEVICES


@click.command()
@spec_file
@overrides
@click.option("--device", type=click.Choice(list(DEVICES)), help="Also estimate the time on this device.")
@as_json
@reports_errors
def cost(spec: Path, overrides: tuple[str, ...], device: str | None, as_json: bool) -> None:
    """Estimate parameters, FLOPs and memory of each stage."""
    study = loaded(spec, overrides)
    needs("run", "torch", "numpy", "jaxtyping", "safetensors", "filelock")
    from crt_cost.table import costed, print_costs

    every_point = costed(study, device)
    if as_json:
        about = outline(study)
        points = [{**point, "cost": stages} for point, stages in zip(about["points"], every_point, strict=True)]
        answer({**about, "points": points})
        return
    click.echo(summary(spec, study))
    print_costs(study, every_point, device)
