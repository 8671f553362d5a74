"""crt-verify: decoders that draw several ids a target call and still follow the target's law exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crt_verify.drafters import Drafter, draft_law
from crt_verify.tree import Tree

if TYPE_CHECKING:
    from crt_verify.rules import rule

__version__ = "0.1.0"

__all__ = ["Drafter", "Tree", "draft_law", "rule"]


def __getattr__(name: str) -> Any:
    """What needs torch, imported when first asked for: `import crt_verify` alone does not import it."""
    if name == "rule":
        import importlib

        return importlib.import_module("crt_verify.rules").rule
    raise AttributeError(f"module 'crt_verify' has no attribute {name!r}")
