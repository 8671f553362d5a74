"""Bottlenecks with learned or implied codes, convolutional tokenizers, and regularisers of stage 1."""

from crt_vq.specs import (
    BSQ,
    LFQ,
    VQ,
    VQGAN,
    Adversarial,
    Causal,
    CausalCE,
    Conv,
    Perceptual,
    Perturbed,
    ResidualVQ,
    SimVQ,
)

__version__ = "0.1.0"

__all__ = [
    "BSQ",
    "LFQ",
    "VQ",
    "VQGAN",
    "Adversarial",
    "Causal",
    "CausalCE",
    "Conv",
    "Perceptual",
    "Perturbed",
    "ResidualVQ",
    "SimVQ",
]
