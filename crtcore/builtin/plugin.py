"""The components the core brings itself."""

from __future__ import annotations

from crtcore.hooks import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """The smallest component of each kind."""
    return []
