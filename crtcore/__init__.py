"""Tokenizers, bottlenecks, priors, regularisers and decoders for the trade-off of compression and generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crtcore.hooks import Component, hookimpl
from crtcore.registry import NameClash, NotInstalled, Registry, discover
from crtcore.settings import Limits, Optimizer, Sampling, Training
from crtcore.spec import FieldError, Spec

if TYPE_CHECKING:
    from crtcore.noise import Noise
    from crtcore.sampling import pick, probabilities

__version__ = "0.1.0"

__all__ = [
    "Component", "FieldError", "Limits", "NameClash", "Noise", "NotInstalled", "Optimizer", "Registry",
    "Sampling", "Spec", "Training", "discover", "hookimpl", "pick", "probabilities",
]  # fmt: skip

_NEED_TORCH = {"Noise": "crtcore.noise", "pick": "crtcore.sampling", "probabilities": "crtcore.sampling"}


def __getattr__(name: str) -> Any:
    """The public names that need torch, imported when first asked for: `import crtcore` alone does not import it."""
    if name in _NEED_TORCH:
        import importlib

        return getattr(importlib.import_module(_NEED_TORCH[name]), name)
    raise AttributeError(f"module 'crtcore' has no attribute {name!r}")
