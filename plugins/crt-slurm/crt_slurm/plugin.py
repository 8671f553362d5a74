"""The component that this package brings."""

from __future__ import annotations

from crt_slurm.spec import Slurm
from crtcore.hooks import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """The executor."""
    return [Component("slurm", spec=Slurm, summary="jobs of a Slurm cluster", examples=(Slurm(cluster="local"),))]
