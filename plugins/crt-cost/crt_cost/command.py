"""`crt cost`: the costs of every point's stages."""

from __future__ import annotations

from pathlib import Path

import click

from crt_cli.commands import outline, summary
from crt_cli.console import answer, as_json, loaded, needs, overrides, reports_errors, spec_file
from crt_cost.devices import Devices, devices_named


@click.command()
@spec_file
@overrides
@click.option(
    "--devices",
    "--device",
    type=devices_named,
    metavar="[N x] DEVICE",
    help="Also estimate the time on it; on several, such as 8xh100, also the memory and communication of each rank.",
)
@as_json
@reports_errors
def cost(spec: Path, overrides: tuple[str, ...], devices: Devices | None, as_json: bool) -> None:
    """Estimate parameters, FLOPs and memory of each stage, and FLOPs of what a run generates."""
    study = loaded(spec, overrides)
    needs("run", "torch", "numpy", "jaxtyping", "safetensors", "filelock")
    from crt_cost.generation import generated, print_generations
    from crt_cost.table import costed, print_costs

    every_point, generations = costed(study, devices), generated(study, devices)
    if as_json:
        about = outline(study)
        points = [
            {**point, "cost": stages, "generation": each}
            for point, stages, each in zip(about["points"], every_point, generations, strict=True)
        ]
        answer({**about, "points": points})
        return
    click.echo(summary(spec, study))
    if any(every_point):
        print_costs(study, every_point, devices)
    print_generations(study, generations, devices)
