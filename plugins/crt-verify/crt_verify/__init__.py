"""crt-verify: decoders that emit several ids per target call and keep the target's distribution exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crt_verify.drafters import Drafter, draft_distribution
from crt_verify.tree import Tree

if TYPE_CHECKING:
    from crt_verify.rules import rule

__version__ = "0.1.0"

__all__ = ["Drafter", "Tree", "draft_distribution", "rule"]


def __getattr__(name: str) -> Any:
    """Imports `rule`, which needs torch, at its first use."""
    if name == "rule":
        import importlib

        return importlib.import_module("crt_verify.rules").rule
    raise AttributeError(f"module 'crt_verify' has no attribute {name!r}")
