"""Spec of the decoder that drafts from the text, free of torch."""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs

from crtcore.kinds import DecoderSpec
from crtcore.spec import COSMETIC, at_least


@attrs.frozen(kw_only=True)
class Lookup(DecoderSpec):
    """Decoding that drafts from the prompt and from what was emitted, without a second model.

    A draft is a tree of guesses: what followed the longest matches of the end of the text, how a copy goes on after an
    edit, and edits that were made before. Each id is drawn from the target with the uniform of its position and
    accepted if it was drafted, so that the ids are those of `ancestral` under the same seeds, whatever is drafted.
    A round in which nothing is likely is a plain step. With `shape` "cost" a round has the nodes of the most expected
    ids a second, by the cost of a step that is measured once for a machine and a model.
    Source: Saxena (2023), prompt lookup decoding, for drafts by matches.
    """

    implementation: ClassVar[str] = "crt_verify.lookup.decoder:lookup_decoder"

    nodes: int = attrs.field(default=24, validator=at_least(1), metadata=COSMETIC)
    """Drafted ids of a round at most; changes no result."""
    depth: int = attrs.field(default=24, validator=at_least(1), metadata=COSMETIC)
    """Drafted ids of a path at most; changes no result."""
    shape: Literal["likely", "cost"] = attrs.field(default="likely", metadata=COSMETIC)
    """Nodes of a round: all that are likely enough, or as many as pay by the cost of a step; changes no result."""
