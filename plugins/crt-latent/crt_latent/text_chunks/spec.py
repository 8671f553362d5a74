"""Spec of the text tokenizer, free of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from crtcore.kinds import TokenizerSpec
from crtcore.spec import FieldError, at_least, divides

if TYPE_CHECKING:
    pass


def _even(spec: TextChunks, attribute: attrs.Attribute[Any], heads: int) -> None:
    if spec.width // heads % 2:
        raise FieldError(attribute.name, f"expected heads of an even width, got {spec.width} / {heads}")


@attrs.frozen(kw_only=True)
class TextChunks(TokenizerSpec):
    """The steps of a trace in chunks of text, each to a few codes, and back with the prompt in view.

    A chunk is read by itself, so that a code means the same wherever it stands.
    Source: Su et al. (2025), arXiv:2502.03275; depth, width and how the prompt enters are ours, as it does not say.
    """

    implementation: ClassVar[str] = "crt_latent.text_chunks.tokenizer:ChunkTokenizer"
    form: ClassVar[str] = "trace"

    chunk: int = attrs.field(default=16, validator=at_least(1))
    """Text ids of a chunk (L in the source)."""
    rate: int = attrs.field(default=16, validator=divides("chunk"))
    """Text ids that share a feature, and so a code (r in the source)."""
    layers: int = attrs.field(default=1, validator=at_least(1))
    """Blocks of attention and feed-forward in each of encoder, decoder and reader of the prompt."""
    width: int = attrs.field(default=64, validator=at_least(2))
    """Channels of a position in them."""
    heads: int = attrs.field(default=4, validator=[divides("width"), _even])
    """Attention heads; each has width / heads channels, an even number."""
    prompted: bool = True
    """The codes are trained beside a decoder that is told the prompt, and need not repeat it."""
