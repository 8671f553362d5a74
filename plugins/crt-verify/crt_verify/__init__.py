"""crt-verify: decoders that emit several ids per target call and keep the target's distribution exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crt_verify.drafters import Drafter, draft_distribution
    from crt_verify.rules import rule
    from crt_verify.tree import Tree

__version__ = "0.1.0"

__all__ = ["Drafter", "Tree", "draft_distribution", "rule"]

_HOMES = {"Drafter": "drafters", "Tree": "tree", "draft_distribution": "drafters", "rule": "rules"}


def __getattr__(name: str) -> Any:
    """Imports a public name at its first use: `rule` needs torch, and `crt list` needs none of them."""
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(f"crt_verify.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'crt_verify' has no attribute {name!r}")
