"""The component that this package brings."""

from __future__ import annotations

from crt_run.executors.spec import Local
from crtcore.hooks import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """The executor."""
    return [
        Component("local", spec=Local, summary="processes on this machine", examples=(Local(),)),
    ]
