"""Specs of the decoders, free of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from crtcore.kinds import DecoderSpec
from crtcore.spec import at_least

if TYPE_CHECKING:
    from crt_verify.speculative import SpeculativeDecoder


@attrs.frozen(kw_only=True)
class SpeculativeDecoding(DecoderSpec):
    """Speculative decoding: the draft proposes a chain of ids, the target accepts its longest fitting start.

    Source: Leviathan et al. (2023), arXiv:2211.17192, algorithm 1; Chen et al. (2023), arXiv:2302.01318, algorithm 2.
    """

    drafts: ClassVar[bool] = True

    length: int = attrs.field(default=4, validator=at_least(1))
    """Drafted ids a round."""

    def build(self) -> SpeculativeDecoder:
        """The decoder."""
        from crt_verify.speculative import SpeculativeDecoder

        return SpeculativeDecoder(self)
