"""Tokenizers, bottlenecks, priors, regularisers and decoders for the trade-off of compression and generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crtcore.hooks import Component, hookimpl
from crtcore.registry import NameClash, NotInstalled, Registry, discover
from crtcore.settings import Limits, Optimizer, Sampling, Training
from crtcore.spec import FieldError, Spec

if TYPE_CHECKING:
    from crtcore.noise import Noise

__version__ = "0.1.0"

__all__ = [
    "Component", "FieldError", "Limits", "NameClash", "Noise", "NotInstalled", "Optimizer", "Registry",
    "Sampling", "Spec", "Training", "discover", "hookimpl",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """`Noise`, imported when it is first asked for, as the front draws nothing."""
    if name == "Noise":
        from crtcore.noise import Noise

        return Noise
    raise AttributeError(f"module 'crtcore' has no attribute {name!r}")
