"""What crt-vq brings."""

from __future__ import annotations

from crt_vq import specs
from crtcore import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """Bottlenecks, a tokenizer and regularisers."""
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
            "simvq",
            spec=specs.SimVQ,
            summary="nearest entry of a frozen codebook behind a learned linear map",
            examples=(specs.SimVQ(codes=16),),
        ),
        Component(
            "residual-vq",
            spec=specs.ResidualVQ,
            summary="several codebooks, each for what those before it left over",
            examples=(specs.ResidualVQ(codes=8, depth=3),),
        ),
        Component(
            "lfq",
            spec=specs.LFQ,
            summary="the sign of every channel (lookup-free)",
            examples=(specs.LFQ(width=5),),
        ),
        Component(
            "bsq",
            spec=specs.BSQ,
            summary="the sign of every channel, on the unit sphere",
            examples=(specs.BSQ(width=5),),
        ),
        Component(
            "perturbed",
            spec=specs.Perturbed,
            summary="another bottleneck, some codes swapped for near ones in training",
            examples=(specs.Perturbed(bottleneck=specs.VQ(codes=16), neighbours=4, share=0.5),),
        ),
        Component(
            "conv",
            spec=specs.Conv,
            summary="small convolutional tokenizer of images",
            examples=(specs.Conv(channels=8),),
        ),
        Component(
            "vqgan",
            spec=specs.VQGAN,
            summary="convolutional tokenizer of images in the sizes of LlamaGen (VQ-16, VQ-8)",
            examples=(specs.VQGAN(channels=8, multipliers=(1, 2), blocks=1, latent=8),),
        ),
        Component(
            "causal",
            spec=specs.Causal,
            summary="each latent predicted from those before it (CRT)",
            examples=(
                specs.Causal(layers=1, width=8, heads=2),
                specs.Causal(layers=0, error="nll", first="learned"),
            ),
        ),
        Component(
            "causal-ce",
            spec=specs.CausalCE,
            summary="each id foretold from the latents before it, by cross-entropy",
            examples=(specs.CausalCE(layers=1, width=8, heads=2),),
        ),
        Component(
            "perceptual",
            spec=specs.Perceptual,
            summary="distance to the data in the features of VGG16 (LPIPS)",
            examples=(specs.Perceptual(stages=1),),
        ),
        Component(
            "adversarial",
            spec=specs.Adversarial,
            summary="a patch discriminator that tells reconstructions from data (hinge)",
            examples=(specs.Adversarial(layers=1, channels=4, adaptive=True),),
        ),
    ]
