"""The components of crt-ar."""

from __future__ import annotations

from crt_ar import specs
from crtcore import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """Autoregressive priors."""
    tiny = specs.Transformer(layers=2, width=16, heads=2)
    little = specs.LlamaGen(layers=2, width=16, heads=2)
    return [
        Component("transformer", spec=specs.Transformer, summary="rotary pre-norm decoder, cached", examples=(tiny,)),
        Component("llamagen", spec=specs.LlamaGen, summary="the same over a square grid of ids", examples=(little,)),
    ]
