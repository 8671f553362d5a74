"""Specs of the tokenizers, free of torch."""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs

from crtcore.kinds import TokenizerSpec
from crtcore.spec import at_least, each


@attrs.frozen(kw_only=True)
class Conv(TokenizerSpec):
    """A small convolutional tokenizer of images."""

    implementation: ClassVar[str] = "crt_vq.tokenizers.convolutional:conv"
    form: ClassVar[str] = "image"

    channels: int = attrs.field(default=32, validator=at_least(1))
    """Hidden channels, the same at every scale."""
    halvings: int = attrs.field(default=1, validator=at_least(1))
    """Times that height and width are halved: each 2**halvings by 2**halvings pixels become one feature."""
    blocks: int = attrs.field(default=1, validator=at_least(0))
    """Residual blocks at each scale, in the encoder and in the decoder."""


@attrs.frozen(kw_only=True)
class VQGAN(TokenizerSpec):
    """The convolutional tokenizer of VQGAN, in the sizes of LlamaGen: VQ-16 by default, VQ-8 with `[1, 2, 2, 4]`.

    Source: Sun et al. (2024), arXiv:2406.06525, section 2.1; Esser et al. (2020), arXiv:2012.09841, appendix.
    """

    implementation: ClassVar[str] = "crt_vq.tokenizers.vqgan:vqgan"
    form: ClassVar[str] = "image"

    channels: int = attrs.field(default=128, validator=at_least(1))
    """Hidden channels of the first level."""
    multipliers: tuple[int, ...] = attrs.field(default=(1, 1, 2, 2, 4), validator=each(at_least(1)))
    """Factor of `channels` at each level; height and width are halved between levels."""
    blocks: int = attrs.field(default=2, validator=at_least(1))
    """Residual blocks at each level of the encoder; the decoder has one more."""
    latent: int = attrs.field(default=256, validator=at_least(1))
    """Channels next to the bottleneck, before they are mapped to its width (z_channels in the source)."""
    loss: Literal["l2", "l1"] = "l2"
    """Squared or absolute error of a pixel; the recorded distortion is the squared error in both cases."""

    @property
    def halvings(self) -> int:
        """Times that height and width are halved."""
        return len(self.multipliers) - 1
