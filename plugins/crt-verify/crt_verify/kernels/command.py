"""`crt kernels`: the kernels, what they were compiled for here, and what they have run on."""

from __future__ import annotations

import attrs
import click

from crt_cli.console import answer, as_json, reports_errors
from crt_cli.layout import show
from crt_nn.native.compiler import NotBuilt
from crt_verify.kernels.listing import kernels as listed
from crtcore.errors import RunError


@click.command()
@as_json
@reports_errors
def kernels(as_json: bool) -> None:
    """List the verification kernels, what they were compiled for, and what they have run on."""
    try:
        every = listed()
    except NotBuilt as error:
        raise RunError(f"kernels: {error}") from None
    if as_json:
        answer({"kernels": [attrs.asdict(kernel) for kernel in every]})
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("kernel", "written for", "compiled for", "on the host", "ran"):
        table.add_column(column)
    for kernel in every:
        compiled = ", ".join(kernel.compiled) or "not yet"
        host = "compiled" if kernel.host_compiled else "not yet"
        table.add_row(kernel.name, ", ".join(kernel.architectures), compiled, host, kernel.ran)
    show(table)
