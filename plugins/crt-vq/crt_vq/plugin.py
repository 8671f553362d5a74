"""What crt-vq brings."""

from __future__ import annotations

from crt_vq import specs
from crtcore import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """A bottleneck, a tokenizer and a regulariser."""
    return [
        Component(
            "vq",
            spec=specs.VQ,
            summary="nearest entry of a learned codebook",
            examples=(
                specs.VQ(codes=16),
                specs.VQ(codes=16, width=4, compare="euclidean"),
                specs.VQ(codes=16, start="k-means", decay=0.9, patience=5),
            ),
        ),
        Component(
            "conv",
            spec=specs.Conv,
            summary="small convolutional tokenizer of images",
            examples=(specs.Conv(channels=8),),
        ),
        Component(
            "causal",
            spec=specs.Causal,
            summary="each latent predicted from those before it (CRT)",
            examples=(specs.Causal(layers=1, width=8, heads=2),),
        ),
    ]
