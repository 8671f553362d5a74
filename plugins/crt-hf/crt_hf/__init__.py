"""Causal language models in the Hugging Face layout: priors, and text in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crt_hf.spec import DistilledDraft, HuggingFace

if TYPE_CHECKING:
    from crt_hf.api import Model, Result, certificate, custom_generate, distill, generate

__all__ = ["DistilledDraft", "HuggingFace", "Model", "Result", "certificate", "custom_generate", "distill", "generate"]


def __getattr__(name: str) -> Any:
    """What needs torch is imported once it is asked for."""
    if name in __all__:
        from crt_hf import api

        return getattr(api, name)
    raise AttributeError(f"module 'crt_hf' has no attribute {name!r}")
