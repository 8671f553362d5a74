"""Specs of autoregressive priors, free of torch."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import attrs

from crt_ar.sizes import SHAPES, Shape, Size
from crtcore.kinds import PriorSpec
from crtcore.spec import COSMETIC, FieldError, above, at_least, below, divides


def _even(spec: Transformer, attribute: attrs.Attribute[Any], heads: int) -> None:
    if spec.width // heads % 2:
        raise FieldError(attribute.name, f"expected heads of an even width, got {spec.width} / {heads}")


@attrs.frozen(kw_only=True)
class Transformer(PriorSpec):
    """Pre-norm transformer with rotary positions, SwiGLU layers and a class prefix.

    Source: Touvron et al. (2023), arXiv:2302.13971, section 2.2; Sun et al. (2024), arXiv:2406.06525, section 2.2.
    """

    implementation: ClassVar[str] = "crt_ar.transformer:transformer"

    layers: int = attrs.field(default=2, validator=at_least(1))
    """Blocks of attention and feed-forward."""
    width: int = attrs.field(default=64, validator=at_least(2))
    """Channels of a position."""
    heads: int = attrs.field(default=4, validator=[divides("width"), _even])
    """Attention heads; each has width / heads channels, an even number."""
    hidden: int = attrs.field(default=0, validator=at_least(0))
    """Channels inside a feed-forward layer; 0 is 8/3 of the width, rounded up to a multiple of 8."""
    init_std: float = attrs.field(  # hashes leave the default out, so that stages of before the field are still used
        default=0.02, validator=above(0), metadata={"cosmetic": lambda own: own.init_std == 0.02}
    )
    """Standard deviation of the first weights, those of the output layer apart, which are 0.

    0.02 is that of LlamaGen, whose networks are 768 wide or wider; at a width of 64 it is a sixth of width ** -0.5.
    """
    embedding_std: float = attrs.field(
        default=0.0, validator=at_least(0), metadata={"cosmetic": lambda own: own.embedding_std == 0}
    )
    """Standard deviation of the first embeddings; 0 takes `init_std`."""
    attention: Literal["auto", "xformers", "sdpa"] = "auto"
    """Backend of attention; `auto` is xformers where it is installed and runs, torch elsewhere."""


def _grid_heads(spec: LlamaGen, attribute: attrs.Attribute[Any], _: int) -> None:
    _, width, heads = spec.shape
    if width % heads:
        raise FieldError(attribute.name, f"expected a divisor of the width ({width}), got {heads}")
    if width // heads % 4:
        raise FieldError(attribute.name, f"expected heads of a multiple of 4 channels, got {width} / {heads}")


def _dropout() -> Any:
    return attrs.field(default=0.1, validator=[at_least(0), below(1)])


@attrs.frozen(kw_only=True)
class LlamaGen(PriorSpec):
    """LlamaGen's class-conditional transformer over a square grid of ids, by the name of its size.

    Source: Sun et al. (2024), arXiv:2406.06525, section 2.2; FoundationVision/LlamaGen, autoregressive/models/gpt.py.
    """

    implementation: ClassVar[str] = "crt_ar.grid:GridTransformer"

    size: Size = "B"
    """Layers, width and heads by name: `52M` to `3.1B`, or LlamaGen's `B`, `L`, `XL`, `XXL` and `3B`."""
    layers: int = attrs.field(default=0, validator=at_least(0))
    """Blocks of attention and feed-forward; 0 takes that of `size`."""
    width: int = attrs.field(default=0, validator=at_least(0))
    """Channels of a position; 0 takes that of `size`."""
    heads: int = attrs.field(default=0, validator=[at_least(0), _grid_heads])
    """Attention heads, each of a multiple of 4 channels; 0 takes that of `size`."""
    token_dropout: float = _dropout()
    """Dropout of the embeddings of class and ids."""
    residual_dropout: float = _dropout()
    """Dropout of the output of attention."""
    feed_forward_dropout: float = _dropout()
    """Dropout of the output of feed-forward layers."""
    label_dropout: float = _dropout()
    """Share of the samples of a training step that lose their class, as classifier-free guidance needs."""
    attention: Literal["auto", "xformers", "sdpa"] = "auto"
    """Backend of attention; `auto` is xformers where it is installed and runs, torch elsewhere."""
    recompute: bool = attrs.field(default=False, metadata=COSMETIC)
    """Compute each block again in the backward pass, which takes far less memory."""

    @property
    def shape(self) -> Shape:
        """Layers, width and heads."""
        named = SHAPES[self.size]
        return Shape(self.layers or named.layers, self.width or named.width, self.heads or named.heads)
