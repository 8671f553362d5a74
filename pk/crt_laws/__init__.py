"""The conformance kit, for the tests of any plugin: `test_a_small_codebook = obeys(VQ(codes=16))`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crt_laws.checks import check, equal, near, same
    from crt_laws.conformance import attempt, benches, obeys
    from crt_laws.kit import Attempt, Bench, Broken, Check, Checks, Law, NotApplicable, Offender, Unchecked, Where, law
    from crt_laws.laws.metric_cases import Samples, measured

__all__ = [
    "Attempt", "Bench", "Broken", "Check", "Checks", "Law", "NotApplicable", "Offender", "Samples", "Unchecked",
    "Where", "attempt", "benches", "check", "equal", "law", "measured", "near", "obeys", "same",
]  # fmt: skip

_HOME = {
    **dict.fromkeys(("attempt", "benches", "obeys"), "crt_laws.conformance"),
    **dict.fromkeys(("Samples", "measured"), "crt_laws.laws.metric_cases"),
    **dict.fromkeys(("check", "equal", "near", "same"), "crt_laws.checks"),
}


def __getattr__(name: str) -> Any:
    """A public name, imported at its first use, so that `crt laws` is listed without torch."""
    if name in __all__:
        return getattr(importlib.import_module(_HOME.get(name, "crt_laws.kit")), name)
    raise AttributeError(f"module 'crt_laws' has no attribute {name!r}")
