"""The component that this package brings."""

from __future__ import annotations

from crt_scaling.spec import Scaling
from crtcore.hooks import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """The study."""
    return [
        Component(
            "scaling",
            spec=Scaling,
            summary="what regularising a tokenizer saves in the compute of stage 2",
            examples=(Scaling(), Scaling(shorter=(100, 300))),
        ),
    ]
