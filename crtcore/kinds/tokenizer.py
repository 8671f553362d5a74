"""Tokenizer: data to features, codes and ids, and back to data.

Axes: b batch, n features of a sample, w feature width, k codes of a sample, d code width.
Id -1 means absent, only at the right end of a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, runtime_checkable

import attrs

from crtcore.spec import Spec

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Shaped
    from torch import Tensor

    from crtcore.kinds.bottleneck import Bottleneck
    from crtcore.noise import Noise


class Encoded(NamedTuple):
    """Everything that a tokenizer computes of a batch."""

    features: Float[Tensor, "b n w"]
    latents: Float[Tensor, "b k d"]
    """Features in the space of the codes, before quantisation."""
    codes: Float[Tensor, "b k d"]
    ids: Int[Tensor, "b k"] | None
    """None if the codes are continuous."""
    mask: Bool[Tensor, "b k"]
    """False: padding."""
    reconstruction: Float[Tensor, "b ..."]
    """Data, as given to the tokenizer."""
    distortion: Float[Tensor, " b"]
    """Mean squared error of a sample's elements (or what the tokenizer documents)."""
    rate: Float[Tensor, " b"]
    """Nats that a sample's codes cost."""
    loss: Float[Tensor, ""]
    """What stage 1 minimises without any regulariser."""


@runtime_checkable
class KeepsStatistics(Protocol):
    """A tokenizer or bottleneck with a state that no gradient trains, such as moving averages."""

    def after_step(self, encoded: Encoded) -> None:
        """Updates the state, once after each training step; nothing else changes it. Padding does not count."""


@runtime_checkable
class Tokenizer(Protocol):
    """Owns both directions between data and ids."""

    width: int
    """w, the feature width."""
    vocabulary: int | None
    """Ids run from 0 up to this; None: the codes are continuous and have no ids."""
    length: int
    """The most ids of a sample."""

    def __call__(
        self, data: Tensor, class_ids: Int[Tensor, " b"] | None = None, *, noise: Noise | None = None
    ) -> Encoded:
        """Every value on the way to codes and back; `noise` has a seed for each sample, None: nothing is random."""

    def encode(self, data: Tensor, class_ids: Int[Tensor, " b"] | None = None) -> Int[Tensor, "b k"]:
        """The ids of `data`."""

    def decode(self, ids: Int[Tensor, "b k"], class_ids: Int[Tensor, " b"] | None = None) -> Shaped[Tensor, "b ..."]:
        """The data that `ids` stand for.

        Raises: ValueError if an id is out of range.
        """


@attrs.frozen(kw_only=True)
class TokenizerSpec(Spec):
    """Base of every tokenizer's spec."""

    kind: ClassVar[str] = "tokenizer"
    form: ClassVar[str]
    """The form of data it takes: `image` (b c h w, float, -1 to 1), `ids` (b n) or `trace` (ids in delimited parts)."""
    distortion_unit: ClassVar[str] = "squared data units"
    """The unit of `Encoded.distortion`."""

    def build(self, bottleneck: Bottleneck, sample: Tensor, vocabulary: int | None = None) -> Tokenizer:
        """The tokenizer for data shaped like `sample`, owner of `bottleneck`; `vocabulary` is that of ids."""
        built: Tokenizer = super().build(bottleneck, sample, vocabulary)
        return built
