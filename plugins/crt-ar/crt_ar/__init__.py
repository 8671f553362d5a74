"""Autoregressive transformers as priors."""

from crt_ar.specs import Transformer

__all__ = ["Transformer"]
