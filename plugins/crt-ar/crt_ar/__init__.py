"""Autoregressive transformers as priors."""

from crt_ar.specs import LlamaGen, Transformer

__all__ = ["LlamaGen", "Transformer"]
