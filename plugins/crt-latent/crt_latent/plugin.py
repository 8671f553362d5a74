"""The components of crt-latent."""

from __future__ import annotations

from crtcore import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """Tokenizers of text, and reasoning in their codes."""
    return []
