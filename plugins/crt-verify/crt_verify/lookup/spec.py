"""Specs of the decoders that draft from texts, free of torch."""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs

from crtcore.kinds import DecoderSpec
from crtcore.spec import COSMETIC, FILES, at_least


@attrs.frozen(kw_only=True)
class Lookup(DecoderSpec):
    """Decoding that drafts from the prompt and from what was emitted, without a second model.

    A draft is a tree of guesses: what followed the longest matches of the end of the text, how a copy goes on after an
    edit, and edits that were made before. Each id is drawn from the target with the uniform of its position and
    accepted if it was drafted, so that the ids are those of `ancestral` under the same seeds, whatever is drafted.
    A round in which nothing is likely is a plain step.
    Source: Saxena (2023), prompt lookup decoding, for drafts by matches.
    """

    implementation: ClassVar[str] = "crt_verify.lookup.decoder:lookup_decoder"

    nodes: int = attrs.field(default=24, validator=at_least(1), metadata=COSMETIC)
    """Drafted ids of a round at most; changes no result."""
    depth: int = attrs.field(default=24, validator=at_least(1), metadata=COSMETIC)
    """Drafted ids of a path at most; changes no result."""
    shape: Literal["likely", "cost"] = attrs.field(default="likely", metadata=COSMETIC)
    """Nodes of a round: all that are likely enough, or as many as pay by the cost of a step; changes no result."""


@attrs.frozen(kw_only=True)
class Suffix(DecoderSpec):
    """Decoding that drafts what followed the end of the text before, in the text and in earlier outputs.

    A suffix automaton counts what followed every substring; the longest suffix that occurred before is the first to
    guess. Ids are drawn and accepted as by `lookup`: they are those of `ancestral` under the same seeds.
    Source: Oliaro et al. (2024), arXiv:2411.04975, for drafts by suffixes of earlier outputs.
    """

    implementation: ClassVar[str] = "crt_verify.lookup.decoder:suffix_decoder"

    corpus: str = attrs.field(default="", metadata={**FILES, **COSMETIC})
    """File of earlier outputs, JSON Lines of lists of ids; empty: the text alone. Changes no result."""
    nodes: int = attrs.field(default=24, validator=at_least(1), metadata=COSMETIC)
    """Drafted ids of a round at most; changes no result."""
    depth: int = attrs.field(default=24, validator=at_least(1), metadata=COSMETIC)
    """Drafted ids of a path at most; changes no result."""
    shape: Literal["likely", "cost"] = attrs.field(default="likely", metadata=COSMETIC)
    """As of `lookup`."""
