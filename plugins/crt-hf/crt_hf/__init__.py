"""Causal language models in the Hugging Face layout: a prior, and text in and out."""

from crt_hf.spec import HuggingFace

__all__ = ["HuggingFace"]
