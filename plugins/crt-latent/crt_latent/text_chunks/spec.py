"""Spec of the text tokenizer, free of torch."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from crtcore.kinds import TokenizerSpec
from crtcore.spec import FieldError, at_least, divides


def _even(spec: TextChunks, attribute: attrs.Attribute[Any], heads: int) -> None:
    if spec.width // heads % 2:
        raise FieldError(attribute.name, f"expected heads of an even width, got {spec.width} / {heads}")


@attrs.frozen(kw_only=True)
class TextChunks(TokenizerSpec):
    """The steps of a trace in chunks of text, each encoded to a few codes, and decoded with the prompt.

    A chunk is encoded by itself, so that a code has the same meaning everywhere.
    Source: Su et al. (2025), arXiv:2502.03275; depth, width and the use of the prompt are ours, as it gives none.
    """

    implementation: ClassVar[str] = "crt_latent.text_chunks.tokenizer:ChunkTokenizer"
    form: ClassVar[str] = "trace"
    distortion_unit: ClassVar[str] = "nats an id"

    chunk: int = attrs.field(default=16, validator=at_least(1))
    """Text ids of a chunk (L in the source)."""
    rate: int = attrs.field(default=16, validator=divides("chunk"))
    """Text ids for each feature, and so for each code (r in the source)."""
    layers: int = attrs.field(default=1, validator=at_least(1))
    """Blocks in each of encoder, decoder and prompt encoder."""
    width: int = attrs.field(default=64, validator=at_least(2))
    """Channels of their positions."""
    heads: int = attrs.field(default=4, validator=[divides("width"), _even])
    """Attention heads; each has width / heads channels, an even number."""
    prompted: bool = True
    """Codes are trained with a decoder that reads the prompt, so that they need not repeat it."""
