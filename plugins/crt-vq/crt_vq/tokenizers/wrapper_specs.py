"""Specs of the tokenizers that wrap another one, free of torch."""

from __future__ import annotations

from typing import ClassVar

import attrs

from crtcore.kinds import TokenizerSpec
from crtcore.spec import above, at_least, divides


@attrs.frozen(kw_only=True)
class CausalDecoder(TokenizerSpec):
    """Another tokenizer, whose codes are shaped by a causal decoder: each cell from its own code and those before it.

    The causal decoder's error trains the encoder and the codes; the other tokenizer's own decoder, which sees all
    codes, trains on them without moving them, and makes the images. The source does so in two stages, first the causal
    decoder, then another one over frozen codes; here both train at once. Its prefix tokens, their auxiliary loss and
    the second decoder's buffer tokens are left out, and the encoder is that of the other tokenizer.
    Source: Wu et al. (2025), arXiv:2506.05289 (AliTok).
    """

    implementation: ClassVar[str] = "crt_vq.tokenizers.causal_decoder:CausallyDecoded"
    form: ClassVar[str] = "image"

    tokenizer: TokenizerSpec
    """The other tokenizer, such as `conv` or `vqgan`."""
    layers: int = attrs.field(default=2, validator=at_least(1))
    """Blocks of the causal decoder, a transformer."""
    width: int = attrs.field(default=64, validator=at_least(1))
    """Width of the causal decoder."""
    heads: int = attrs.field(default=4, validator=divides("width"))
    """Attention heads of the causal decoder."""


@attrs.frozen(kw_only=True)
class Prefix(TokenizerSpec):
    """Another tokenizer with a few ids in front that its decoder does not read, for a prior to go by (Prologue).

    Only a regulariser that reads codes trains the prefix: `causal-ce` with `first = "learned"` is the source's
    cross-entropy. The codes of cells are given to regularisers without a gradient, so that such a loss moves the prefix
    and not the cells, but for the encoder that they share. In the source the prefix has ids of its own and an id
    between the two parts, and while the tokenizer trains the prior sees no cells in half of the samples; here ids are
    shared, as their places tell them apart, and nothing is hidden. Its prefix comes from further queries of a
    transformer, here from the features by two linear layers.
    Source: Zheng et al. (2026), arXiv:2605.06137; temperature as in train.sh of github.com/Zyriix/prologue.
    """

    implementation: ClassVar[str] = "crt_vq.tokenizers.prefix:Prefixed"
    form: ClassVar[str] = "image"

    tokenizer: TokenizerSpec
    """The other tokenizer, such as `conv` or `vqgan`, which encodes the cells."""
    count: int = attrs.field(default=16, validator=at_least(1))
    """Ids of the prefix."""
    codes: int = attrs.field(default=1024, validator=at_least(2))
    """Entries of the codebook of the prefix, at most as many as ids of the other tokenizer."""
    temperature: float = attrs.field(default=0.1, validator=above(0))
    """Temperature of the softmax over cosines whose gradient the codes of the prefix have."""
