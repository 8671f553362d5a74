"""The components this package brings."""

from __future__ import annotations

from crt_verify import specs
from crtcore.hooks import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """The decoders."""
    return [
        Component(
            "sd",
            spec=specs.SpeculativeDecoding,
            summary="a chain of drafted ids, verified id by id",
            examples=(specs.SpeculativeDecoding(length=1), specs.SpeculativeDecoding(length=3)),
        )
    ]
