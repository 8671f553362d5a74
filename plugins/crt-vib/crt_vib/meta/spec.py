"""Specs of language models with meta-tokens, free of torch."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import attrs

from crt_nn.yarn_settings import Yarn
from crtcore.kinds import PriorSpec
from crtcore.spec import FieldError, at_least, divides


def _even(spec: MetaTransformer, attribute: attrs.Attribute[Any], heads: int) -> None:
    if spec.width // heads % 2:
        raise FieldError(attribute.name, f"expected heads of an even width, got {spec.width} / {heads}")


@attrs.frozen(kw_only=True)
class MetaTransformer(PriorSpec):
    """Pre-norm transformer in which the last id of the vocabulary is META, with a second attention among METAs.

    Source: Shah, Gupta, Ramji and Chaudhari (2025), arXiv:2509.16278; RMS norms and pre-norm wiring are our choice.
    """

    implementation: ClassVar[str] = "crt_vib.meta.transformer:meta_transformer"

    layers: int = attrs.field(default=2, validator=at_least(1))
    """Blocks of attention, second attention and feed-forward."""
    width: int = attrs.field(default=64, validator=at_least(2))
    """Channels of a position."""
    heads: int = attrs.field(default=4, validator=[divides("width"), _even])
    """Heads of each attention; width / heads must be even."""
    hidden: int = attrs.field(default=0, validator=at_least(0))
    """Hidden channels of a feed-forward layer; 0 is 8/3 of the width, rounded up to eights, or 4 widths for `relu`."""
    feed_forward: Literal["swiglu", "relu"] = "swiglu"
    """The feed-forward layer; both have the same number of parameters if `hidden` is 0."""
    attention: Literal["auto", "xformers", "sdpa"] = "auto"
    """The attention backend; `auto` is xformers if it is installed and runs, else torch's."""
    second: Literal["meta", "all", "none"] = "meta"
    """Second attention: among METAs, among all ids (a control of equal size), or none (the base model)."""
    positions_at_meta: bool = True
    """Whether rotary positions apply at META; if not, its queries and keys have position 0."""
    embedding: Literal["shifted", "plain", "tied"] = "shifted"
    """Input of an id: its embedding plus a map of the previous id's (so that two layers learn to recall), its embedding
    alone, or that with weights tied to the output layer, which start as in GPT-2 and not with unit variance."""
    yarn: Yarn = Yarn()
    """Scaling of rotary positions."""
