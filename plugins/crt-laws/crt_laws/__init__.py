"""The conformance kit, for the tests of any plugin: `test_a_small_book = obeys(VQ(codes=16))`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crt_laws.benches import benches, obeys
    from crt_laws.kit import Bench, Law, Offender, law

__all__ = ["Bench", "Law", "Offender", "benches", "law", "obeys"]

_HOME = dict.fromkeys(("benches", "obeys"), "crt_laws.benches")


def __getattr__(name: str) -> Any:
    """The public names, imported when first asked for: the command `crt laws` is listed without torch."""
    if name in __all__:
        return getattr(importlib.import_module(_HOME.get(name, "crt_laws.kit")), name)
    raise AttributeError(f"module 'crt_laws' has no attribute {name!r}")
