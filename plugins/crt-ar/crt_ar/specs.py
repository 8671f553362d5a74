"""Specs of autoregressive priors, free of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import attrs

from crtcore.kinds import PriorSpec
from crtcore.spec import FieldError, at_least, divides

if TYPE_CHECKING:
    from crt_ar.transformer import AutoregressiveTransformer


def _even(spec: Transformer, attribute: attrs.Attribute[Any], heads: int) -> None:
    if spec.width // heads % 2:
        raise FieldError(attribute.name, f"expected heads of an even width, got {spec.width} / {heads}")


@attrs.frozen(kw_only=True)
class Transformer(PriorSpec):
    """Pre-norm transformer with rotary positions, SwiGLU layers and a prefix for the class.

    Source: Touvron et al. (2023), arXiv:2302.13971, section 2.2; Sun et al. (2024), arXiv:2406.06525, section 2.2.
    """

    layers: int = attrs.field(default=2, validator=at_least(1))
    """Blocks of attention and feed-forward."""
    width: int = attrs.field(default=64, validator=at_least(2))
    """Channels of a position."""
    heads: int = attrs.field(default=4, validator=[divides("width"), _even])
    """Attention heads; each has width / heads channels, an even number."""
    hidden: int = attrs.field(default=0, validator=at_least(0))
    """Channels inside a feed-forward layer; 0 is 8/3 of the width, rounded up to a multiple of 8."""
    attention: Literal["auto", "xformers", "sdpa"] = "auto"
    """What computes attention; `auto` is xformers where it is installed and runs, torch's own elsewhere."""

    def build(self, vocabulary: int, length: int, condition: int | None) -> AutoregressiveTransformer:
        """The transformer; `length` is no limit, as its positions are rotary."""
        from crt_ar.transformer import AutoregressiveTransformer

        return AutoregressiveTransformer(self, vocabulary, condition)
