"""A learned codebook, a small convolutional tokenizer, and the causal regulariser."""

from crt_vq.specs import VQ, Causal, Conv

__version__ = "0.1.0"

__all__ = ["VQ", "Causal", "Conv"]
