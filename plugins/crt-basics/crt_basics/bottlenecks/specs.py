"""Specs of the bottlenecks, free of torch."""

from __future__ import annotations

from typing import ClassVar

import attrs

from crtcore.kinds import BottleneckSpec
from crtcore.spec import at_least, each


@attrs.frozen(kw_only=True)
class FSQ(BottleneckSpec):
    """Finite scalar quantisation: every channel rounded to a few levels.

    Source: Mentzer et al. (2023), arXiv:2309.15505, section 3.
    """

    implementation: ClassVar[str] = "crt_basics.bottlenecks.fsq:Grid"

    levels: tuple[int, ...] = attrs.field(default=(5, 5, 5), validator=each(at_least(2)))
    """Levels of each channel; their product is the vocabulary, their number the feature width."""
