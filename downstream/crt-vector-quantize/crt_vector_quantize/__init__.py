"""The codebook of vector-quantize-pytorch as a bottleneck: the spec and the plugin, free of torch."""

from __future__ import annotations

from typing import ClassVar

import attrs

from crtcore import Component, hookimpl
from crtcore.kinds import BottleneckSpec
from crtcore.spec import at_least, between


@attrs.frozen(kw_only=True)
class VectorQuantize(BottleneckSpec):
    """Nearest entry of a codebook whose entries are moving averages, by vector-quantize-pytorch."""

    implementation: ClassVar[str] = "crt_vector_quantize.wrapped:Wrapped"

    codes: int = attrs.field(default=64, validator=between(2, 2**20))
    """Entries in the codebook."""
    width: int = attrs.field(default=8, validator=at_least(1))
    """Channels of one code."""
    decay: float = attrs.field(default=0.8, validator=between(0, 1))
    """Decay of the moving average that each entry is."""
    commitment: float = attrs.field(default=1.0, validator=at_least(0))
    """Weight of the commitment loss."""


@hookimpl
def crt_components() -> list[Component]:
    """The bottleneck."""
    small = VectorQuantize(codes=16, width=4)
    return [Component("vector-quantize", spec=VectorQuantize, summary="vector-quantize-pytorch", examples=(small,))]
