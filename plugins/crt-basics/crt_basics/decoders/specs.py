"""Specs of the decoders, free of torch."""

from __future__ import annotations

from typing import ClassVar

import attrs

from crtcore.kinds import DecoderSpec


@attrs.frozen(kw_only=True)
class Ancestral(DecoderSpec):
    """One id for each call, from the prior's own distribution: the reference of every other decoder."""

    implementation: ClassVar[str] = "crt_basics.decoders.ancestral:ancestral"
