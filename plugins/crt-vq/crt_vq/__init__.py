"""Bottlenecks with learned or implied codes, a small convolutional tokenizer, and causal regularisers."""

from crt_vq.specs import BSQ, LFQ, VQ, Causal, CausalCE, Conv, Perturbed, ResidualVQ, SimVQ

__version__ = "0.1.0"

__all__ = ["BSQ", "LFQ", "VQ", "Causal", "CausalCE", "Conv", "Perturbed", "ResidualVQ", "SimVQ"]
