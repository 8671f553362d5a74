"""The components of crt-fidelity."""

from __future__ import annotations

from crt_fidelity import specs
from crtcore import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """Returns the metric."""
    small = specs.Fidelity(extractor="random-convolutions")
    usual = specs.Fidelity(
        extractor="inception", weights="weights-inception-2015-12-05-6726825d.pth", numbers=("fid", "isc")
    )
    return [
        Component(
            "fidelity",
            spec=specs.Fidelity,
            summary="FID, KID, Inception score, precision and recall by torch-fidelity",
            examples=(small, usual),
        )
    ]
