"""Tokenizers, bottlenecks, priors, regularisers and decoders for the trade-off of compression and generation."""

TYPE_CHECKING = False  # as in `typing`, which takes a while to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from crtcore.hooks import Component, hookimpl
    from crtcore.noise import Noise
    from crtcore.registry import NameClash, NotInstalled, Registry, discover
    from crtcore.settings import Limits, Optimizer, Sampling, Training
    from crtcore.spec import FieldError, Spec

    load_run: Callable[..., Any]
__version__ = "0.1.0"

__all__ = [
    "Component", "FieldError", "Limits", "NameClash", "Noise", "NotInstalled", "Optimizer", "Registry",
    "Sampling", "Spec", "Training", "discover", "hookimpl",
]  # fmt: skip


def __getattr__(name: str) -> object:
    """Imports a name when it is first asked for: a command settles its signals before anything else is imported."""
    import importlib

    if name == "load_run":  # of crt-run: a finished run with its parts, which needs torch
        return importlib.import_module("crtcore.spec").resolve("crt_run.loading.loaded:load_run")
    for module in ("spec", "settings", "hooks", "registry", "noise") if name in __all__ else ():
        names = vars(importlib.import_module(f"crtcore.{module}"))
        if name in names:
            return names[name]
    raise AttributeError(f"module 'crtcore' has no attribute {name!r}")
