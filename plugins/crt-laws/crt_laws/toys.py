"""The smallest sound tokenizer and regulariser: what laws of other kinds are tried with.

Axes: b batch, c image channels, y rows and x columns of an image, n patches in raster order, w feature width,
d code width.
"""

from __future__ import annotations

from typing import ClassVar

import attrs
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from crtcore.kinds import Bottleneck, Encoded, Penalty, RegularizerSpec, Tokenizer, TokenizerSpec
from crtcore.spec import at_least


@attrs.frozen(kw_only=True)
class Patches(TokenizerSpec):
    """A linear map of every square patch to its feature, and one back."""

    implementation: ClassVar[str] = "crt_laws.toys:LinearPatches"
    form: ClassVar[str] = "image"

    side: int = attrs.field(default=4, validator=at_least(1))
    """Rows, and columns, of a patch."""


class LinearPatches(nn.Module):
    """A feature, and so a code, for each patch."""

    def __init__(
        self, spec: Patches, bottleneck: Bottleneck, sample: Float[Tensor, "b c y x"], vocabulary: int | None = None
    ) -> None:
        super().__init__()
        self.spec = spec
        self.size = sample.shape[2], sample.shape[3]
        pixels = sample.shape[1] * spec.side**2
        self.width = bottleneck.width
        self.vocabulary = bottleneck.vocabulary or 0
        self.length = sample[0].numel() // pixels
        self.bottleneck = bottleneck
        self.inward = nn.Linear(pixels, self.width)
        self.outward = nn.Linear(self.width, pixels)

    def _features(self, data: Float[Tensor, "b c y x"]) -> Float[Tensor, "b n w"]:
        features: Tensor = self.inward(functional.unfold(data, self.spec.side, stride=self.spec.side).mT)
        return features

    def _image(self, codes: Float[Tensor, "b n w"]) -> Float[Tensor, "b c y x"]:
        return functional.fold(self.outward(codes).mT, self.size, self.spec.side, stride=self.spec.side)

    def forward(self, data: Float[Tensor, "b c y x"], condition: Int[Tensor, " b"] | None = None) -> Encoded:
        """The whole way there and back."""
        features = self._features(data)
        codes, compared, ids, rate, loss = self.bottleneck(features)
        image = self._image(codes)
        distortion = (image - data).square().flatten(1).mean(1)
        mask = torch.ones(codes.shape[:2], dtype=torch.bool)
        return Encoded(features, compared, codes, ids, mask, image, distortion, rate, distortion.mean() + loss)

    def encode(self, data: Float[Tensor, "b c y x"], condition: Int[Tensor, " b"] | None = None) -> Int[Tensor, "b n"]:
        """The ids of the patches."""
        ids = self.bottleneck(self._features(data)).ids
        assert ids is not None
        return ids

    def decode(self, ids: Int[Tensor, "b n"], condition: Int[Tensor, " b"] | None = None) -> Float[Tensor, "b c y x"]:
        """The images that `ids` stand for."""
        return self._image(self.bottleneck.lookup(ids))


@attrs.frozen(kw_only=True)
class Chain(RegularizerSpec):
    """The error of the best linear prediction of each latent from the one before it."""

    implementation: ClassVar[str] = "crt_laws.toys:linear_chain"


class LinearChain(nn.Module):
    """Penalises latents that a linear map of the one before does not foretell."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.map = nn.Linear(width, width, bias=False)

    def forward(self, data: Tensor, encoded: Encoded, progress: float) -> Penalty:
        """The mean squared error, for either side with the other held still."""
        latents, weight = encoded.compared, self.map.weight
        present = encoded.mask[:, 1:]

        def error(latents: Tensor, weight: Tensor) -> Tensor:
            errors = (latents[:, :-1] @ weight - latents[:, 1:]).square().mean(-1)
            return errors[present].sum() / present.sum().clamp(min=1)

        loss, own = error(latents, weight.detach()), error(latents.detach(), weight)
        return Penalty(progress * loss, own, {"prediction_error": own.item()})


def linear_chain(_: Chain, tokenizer: Tokenizer) -> LinearChain:
    """The regulariser for a tokenizer's codes."""
    return LinearChain(tokenizer.width)
