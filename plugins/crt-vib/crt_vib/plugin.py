"""The components of crt-vib."""

from __future__ import annotations

from crt_vib.meta.spec import MetaTransformer
from crtcore import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """Bottlenecks that cost nats, and language models with meta-tokens."""
    return [
        Component(
            "meta-transformer",
            spec=MetaTransformer,
            summary="decoder with a second attention among meta-tokens",
            examples=(MetaTransformer(layers=2, width=16, heads=2),),
        ),
    ]
