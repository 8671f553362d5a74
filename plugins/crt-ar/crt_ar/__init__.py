"""Autoregressive transformers as priors."""

from crt_ar.llama.spec import FrozenLlama, Llama, LlamaFolder
from crt_ar.specs import LlamaGen, Transformer

__all__ = ["FrozenLlama", "Llama", "LlamaFolder", "LlamaGen", "Transformer"]
