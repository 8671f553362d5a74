"""Specs of the bottlenecks, free of torch."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import attrs

from crtcore.kinds import BottleneckSpec
from crtcore.spec import FieldError, between, each


def _countable(_: object, attribute: attrs.Attribute[Any], levels: tuple[int, ...]) -> None:
    if (codes := math.prod(levels)) >= 2**63:
        raise FieldError(attribute.name, f"expected fewer than 2**63 codes, as ids are int64, got {codes}")


@attrs.frozen(kw_only=True)
class FSQ(BottleneckSpec):
    """Finite scalar quantisation: every channel rounded to a few levels.

    Source: Mentzer et al. (2023), arXiv:2309.15505, section 3.
    """

    implementation: ClassVar[str] = "crt_basics.bottlenecks.fsq:Grid"

    levels: tuple[int, ...] = attrs.field(default=(5, 5, 5), validator=[each(between(2, 2**20)), _countable])
    """Levels of each channel, no more than float32 keeps apart.

    Their product is the vocabulary, their number the feature width.
    """
