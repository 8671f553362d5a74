"""The components of crt-latent."""

from __future__ import annotations

from crt_latent.tasks.spec import AffineChain
from crt_latent.text_chunks.spec import TextChunks
from crtcore import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """Tokenizers of text, and reasoning in their codes."""
    return [
        Component(
            "text-chunks",
            spec=TextChunks,
            summary="the steps of a trace, a few codes for each chunk of text",
            examples=(TextChunks(chunk=4, rate=2, width=8, heads=2), TextChunks(chunk=4, rate=4, width=8, heads=2)),
        ),
        Component(
            "affine-chain",
            spec=AffineChain,
            summary="operations modulo a small number, told step by step",
            examples=(
                AffineChain(train=600, validation=60, test=60),
                AffineChain(modulus=7, steps=2, verbosity=3, fillers=4, train=200, validation=20, test=20, seed=1),
            ),
        ),
    ]
