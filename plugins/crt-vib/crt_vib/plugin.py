"""The components of crt-vib."""

from __future__ import annotations

from crtcore import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """Bottlenecks that cost nats, and language models with meta-tokens."""
    return []
