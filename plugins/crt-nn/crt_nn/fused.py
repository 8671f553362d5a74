"""Blocks of packed layers in one call, where they have the usual shape: attention, then a gated feed-forward layer.

Axes: b batch, t positions, w width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crt_nn.attention import Attention
from crt_nn.context import AttentionContext
from crt_nn.dropout import WithDropout
from crt_nn.native.blocks import Gain, Matrix, Whole
from crt_nn.norm import FrozenNorm, RMSNorm
from crt_nn.packed import Frozen, Packed, native
from crt_nn.swiglu import SwiGLU


class WholeBlock:
    """A block of which a session caches keys and values; its bits are those of its parts one after another."""

    def __init__(self, attention: Attention, parts: Sequence[Frozen], whole: Whole) -> None:
        self.parts = parts
        self._attention, self._whole = attention, whole

    def __call__(self, stream: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """Returns the stream after the block.

        Raises: ValueError if the weights have changed, or differ in dtype or device from the stream or what is cached.
        """
        for part in self.parts:
            part.check()
        self.parts[0].accept(stream)
        attention, cache = self._attention, context.cache
        assert cache is not None
        like = stream[..., None, :1].expand(-1, -1, 1, attention.channels)  # b t 1 d
        turns = context.once((attention.rope, stream.dtype), lambda: attention.rope(like, context.positions))
        kept = cache.whole(attention, stream, 2 * attention.key_heads, attention.channels)
        self.parts[0].accept(kept)  # which is from before, if the weights were packed anew within a session
        return self._whole(stream, turns, kept, cache.offset, context.visible)


class Fused:
    """Makes a block's whole, and makes it anew when its parts are packed anew."""

    def __init__(self) -> None:
        self._made: WholeBlock | None = None

    def __reduce__(self) -> tuple[type[Fused], tuple[()]]:
        """A copy starts anew, as what is made points to weights that a copy of the module does not have."""
        return Fused, ()

    def whole(self, norms: nn.ModuleList, sublayers: nn.ModuleList) -> WholeBlock | None:
        """The block in one call, without dropout.

        None where gradients are asked for, or parts are not packed, or of another kind, or of several dtypes.
        """
        if torch.is_grad_enabled() or len(sublayers) != 2:
            return None
        attention, feed = (each.sublayer if type(each) is WithDropout else each for each in sublayers)
        if type(attention) is not Attention or type(feed) is not SwiGLU or attention.wanted != "auto":
            return None
        parts = _parts(norms, attention, feed)
        if parts is None or not native():
            return None
        if self._made is None or any(a is not b for a, b in zip(self._made.parts, parts, strict=False)):
            attention.backend = "own kernels"
            self._made = WholeBlock(attention, parts, _whole(parts, attention))
        return self._made


def _parts(norms: nn.ModuleList, attention: Attention, feed: SwiGLU) -> list[Frozen] | None:
    """What is packed of norms, products and head norms, in this order; None: not all is."""
    every = [*norms, *(each for each in (attention.query_norm, attention.key_norm) if each is not None)]
    gains = [each.packed for each in every if isinstance(each, RMSNorm)]
    if attention.packed is None or feed.packed is None or None in gains or len(gains) != len(every):
        return None
    parts: list[Frozen] = [*gains[:2], *attention.packed, *feed.packed, *gains[2:]]  # type: ignore[list-item]
    return parts if all(part.dtype is parts[0].dtype for part in parts) else None


def _whole(parts: Sequence[Frozen], attention: Attention) -> Whole:
    gains = [Gain(part.gain, part.epsilon) for part in parts if isinstance(part, FrozenNorm)]
    products = [part for part in parts if isinstance(part, Packed)]
    inward, outward, up, down = (Matrix(each.panels, each.bias) for each in products if each.panels is not None)
    heads = (gains[2], gains[3]) if len(gains) == 4 else None
    numbers = attention.heads, attention.key_heads, attention.channels
    return Whole((gains[0], gains[1]), heads, (inward, outward, up, down), numbers=numbers)
