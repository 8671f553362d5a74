"""Specs of language models with meta-tokens, free of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import attrs

from crt_nn.yarn_settings import Yarn
from crtcore.kinds import PriorSpec
from crtcore.spec import FieldError, at_least, divides

if TYPE_CHECKING:
    pass


def _even(spec: MetaTransformer, attribute: attrs.Attribute[Any], heads: int) -> None:
    if spec.width // heads % 2:
        raise FieldError(attribute.name, f"expected heads of an even width, got {spec.width} / {heads}")


@attrs.frozen(kw_only=True)
class MetaTransformer(PriorSpec):
    """Pre-norm transformer in which the last id of the vocabulary is META, with a second attention among METAs alone.

    Source: Shah, Gupta, Ramji and Chaudhari (2025), arXiv:2509.16278; RMS norms and the wiring before them are ours.
    """

    implementation: ClassVar[str] = "crt_vib.meta.transformer:meta_transformer"

    layers: int = attrs.field(default=2, validator=at_least(1))
    """Blocks of attention, second attention and feed-forward."""
    width: int = attrs.field(default=64, validator=at_least(2))
    """Channels of a position."""
    heads: int = attrs.field(default=4, validator=[divides("width"), _even])
    """Heads of either attention; each has width / heads channels, an even number."""
    hidden: int = attrs.field(default=0, validator=at_least(0))
    """Channels inside a feed-forward layer; 0 is 8/3 of the width, rounded up to eights, or 4 widths for `relu`."""
    feed_forward: Literal["swiglu", "relu"] = "swiglu"
    """The feed-forward layer; both have as many parameters where `hidden` is 0."""
    attention: Literal["auto", "xformers", "sdpa"] = "auto"
    """What computes attention; `auto` is xformers where it is installed and runs, torch's own elsewhere."""
    second: Literal["meta", "all", "none"] = "meta"
    """Second attention: among METAs, among all ids (the control with as many parameters), or none (the base model)."""
    positions_at_meta: bool = True
    """False: queries and keys at META are not turned, as if they stood at position 0."""
    embedding: Literal["shifted", "plain", "tied"] = "shifted"
    """What is read of an id: its embedding and, by a map, that of the id before (two layers then learn to recall), its
    embedding alone, or that with the output layer's weights, which start as GPT-2's and not with unit variance."""
    yarn: Yarn = Yarn()
    """How rotary positions are stretched."""
