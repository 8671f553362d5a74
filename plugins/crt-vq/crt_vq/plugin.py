"""The components of crt-vq."""

from __future__ import annotations

from crt_vq import (
    BSQ,
    LFQ,
    VQ,
    VQGAN,
    Adversarial,
    Causal,
    CausalCE,
    CausalDecoder,
    CausalHead,
    Conv,
    EndToEnd,
    MatchedRate,
    Perceptual,
    Perturbed,
    Prefix,
    ResidualVQ,
    SimVQ,
    SoftReadout,
)
from crtcore import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """Bottlenecks, tokenizers, regularisers and a prior made of one."""
    return [
        Component(
            "vq",
            spec=VQ,
            summary="nearest entry of a learned codebook",
            examples=(
                VQ(codes=16),
                VQ(codes=16, width=4, compare="euclidean"),
                VQ(codes=16, start="k-means", decay=0.9, patience=5),
            ),
        ),
        Component(
            "simvq",
            spec=SimVQ,
            summary="nearest entry of a frozen codebook behind a learned linear map",
            examples=(SimVQ(codes=16),),
        ),
        Component(
            "residual-vq",
            spec=ResidualVQ,
            summary="several codebooks, each for the residual of those before it",
            examples=(ResidualVQ(codes=8, depth=3),),
        ),
        Component(
            "lfq",
            spec=LFQ,
            summary="the sign of every channel (lookup-free)",
            examples=(LFQ(width=5),),
        ),
        Component(
            "bsq",
            spec=BSQ,
            summary="the sign of every channel, on the unit sphere",
            examples=(BSQ(width=5),),
        ),
        Component(
            "perturbed",
            spec=Perturbed,
            summary="another bottleneck, some codes swapped for near ones in training",
            examples=(Perturbed(bottleneck=VQ(codes=16), neighbours=4, share=0.5),),
        ),
        Component(
            "conv",
            spec=Conv,
            summary="small convolutional tokenizer of images",
            examples=(Conv(channels=8),),
        ),
        Component(
            "vqgan",
            spec=VQGAN,
            summary="convolutional tokenizer of images in the sizes of LlamaGen (VQ-16, VQ-8)",
            examples=(VQGAN(channels=8, multipliers=(1, 2), blocks=1, latent=8),),
        ),
        Component(
            "causal-decoder",
            spec=CausalDecoder,
            summary="another tokenizer, its codes shaped by a decoder that sees no later ones (AliTok)",
            examples=(CausalDecoder(tokenizer=Conv(channels=8), layers=1, width=8, heads=2),),
        ),
        Component(
            "prefix",
            spec=Prefix,
            summary="another tokenizer with ids in front that only a prior reads (Prologue)",
            examples=(Prefix(tokenizer=Conv(channels=8), count=3, codes=16),),
        ),
        Component(
            "causal",
            spec=Causal,
            summary="each latent predicted from those before it (CRT)",
            examples=(
                Causal(layers=1, width=8, heads=2),
                Causal(head="mixing", layers=1, width=8, heads=2, every=2),
                Causal(head="masked", layers=1, width=8, last=0.5),
                Causal(layers=0, error="nll", first="learned"),
            ),
        ),
        Component(
            "causal-ce",
            spec=CausalCE,
            summary="next-id prediction from preceding latents, by cross-entropy",
            examples=(CausalCE(layers=1, width=8, heads=2),),
        ),
        Component(
            "soft-readout",
            spec=SoftReadout,
            summary="a generator's alignment with cells, read out of soft ids (GEAR)",
            examples=(SoftReadout(layers=1, width=8, heads=2),),
        ),
        Component(
            "end-to-end",
            spec=EndToEnd,
            summary="a generator's next-id loss, with its gradient to the tokenizer",
            examples=(
                EndToEnd(layers=1, width=8, heads=2),
                EndToEnd(layers=2, width=8, heads=2, read_out="soft", through="context"),
            ),
        ),
        Component(
            "matched-rate",
            spec=MatchedRate,
            summary="distance of the entropy of a batch's ids from a target",
            examples=(MatchedRate(bits=4.0),),
        ),
        Component(
            "causal-head",
            spec=CausalHead,
            summary="the head of `causal` as a prior, by the distance of codes",
            examples=(CausalHead(), CausalHead(class_bias=True)),
        ),
        Component(
            "perceptual",
            spec=Perceptual,
            summary="distance to the data in the features of VGG16 (LPIPS)",
            examples=(Perceptual(stages=1),),
        ),
        Component(
            "adversarial",
            spec=Adversarial,
            summary="a patch discriminator of reconstructions and data (hinge loss)",
            examples=(Adversarial(layers=1, channels=4, adaptive=True),),
        ),
    ]
