"""The components of crt-ar."""

from __future__ import annotations

import attrs

from crt_ar import specs
from crt_ar.llama.spec import FrozenLlama, Llama, LlamaFolder
from crtcore import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """Autoregressive priors."""
    tiny = specs.Transformer(layers=2, width=16, heads=2)
    little = specs.LlamaGen(layers=2, width=16, heads=2)
    grouped = Llama(layers=2, width=16, heads=4, key_heads=2, hidden=24)
    further, frozen = LlamaFolder(folder="data/Llama-3.2-1B"), FrozenLlama(folder="data/Llama-3.2-1B")
    return [
        Component("transformer", spec=specs.Transformer, summary="rotary pre-norm decoder, cached", examples=(tiny,)),
        Component(
            "llamagen",
            spec=specs.LlamaGen,
            summary="LlamaGen's transformer over a square grid of ids",
            examples=(little,),
        ),
        Component("llama", spec=Llama, summary="Llama 3 with new weights, by the name of a size", examples=(grouped,)),
        Component(
            "llama-folder",
            spec=LlamaFolder,
            summary="Llama weights from a folder, trained further",
            examples=(further, attrs.evolve(further, trained=1)),
        ),
        Component("frozen-llama", spec=FrozenLlama, summary="Llama weights from a folder, frozen", examples=(frozen,)),
    ]
