"""Specs of the decoders, free of torch."""

from __future__ import annotations

from typing import ClassVar

import attrs

from crtcore.kinds import DecoderSpec


@attrs.frozen(kw_only=True)
class Ancestral(DecoderSpec):
    """One id a call, from the prior's own law: what every other decoder must agree with."""

    implementation: ClassVar[str] = "crt_basics.decoders.ancestral:ancestral"
