"""The grid tokenizer: images to a grid of features and back, by any encoder and decoder.

Axes: b batch, c image channels, y rows and x columns of an image, n cells of the grid in raster order, w feature width,
k codes of a sample, those of a cell adjacent, d code width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from crt_nn.ranges import check_ids
from crtcore.errors import RunError
from crtcore.kinds import (
    Bottleneck,
    BottleneckOutput,
    DiscreteBottleneck,
    Encoded,
    KeepsStatistics,
    TokenizerSpec,
)
from crtcore.noise import Noise

Network: TypeAlias = Callable[[int, int], nn.Module]
"""Makes a network from its input and output channels."""


class GridTokenizer(nn.Module):
    """One feature for each cell of a grid over the image, and one or more codes for each; class ids are ignored."""

    def __init__(
        self,
        spec: TokenizerSpec,
        bottleneck: Bottleneck,
        sample: Float[Tensor, "b c y x"],
        *,
        halvings: int,
        encoder: Network,
        decoder: Network,
        loss: Literal["l2", "l1"] = "l2",
    ) -> None:
        super().__init__()
        channels, *sides = sample.shape[1:]
        if any(side % 2**halvings for side in sides):
            raise RunError(
                f"tokenizer: expected images whose sides are multiples of {2**halvings}, got {sides[0]} by {sides[1]}; "
                "choose another image size or another tokenizer"
            )
        self.spec = spec
        self.shape = tuple(sample.shape[1:])
        self.grid = tuple(side // 2**halvings for side in sides)
        self.width = bottleneck.width
        self.vocabulary = bottleneck.vocabulary
        self.cells = self.grid[0] * self.grid[1]
        self.loss = loss
        self.bottleneck = bottleneck
        self.length, code = self._codes()
        self.code_width = self.length // self.cells * code
        self.encoder = encoder(channels, self.width)
        self.decoder = decoder(self.code_width, channels)

    def _codes(self) -> tuple[int, int]:
        """Number and width of the bottleneck's codes for a sample, read from an empty one."""
        with torch.no_grad():
            codes = self.bottleneck(torch.zeros(1, self.cells, self.width)).codes
        if codes.shape[1] < self.cells or codes.shape[1] % self.cells:
            raise RunError(
                f"tokenizer: expected a bottleneck with the same number of codes for each of {self.cells} features, "
                f"got {codes.shape[1]} codes; choose another bottleneck"
            )
        return codes.shape[1], codes.shape[2]

    def _features(self, data: Float[Tensor, "b c y x"]) -> Float[Tensor, "b n w"]:
        if data.shape[1:] != self.shape:
            raise ValueError(f"expected images of shape {self.shape}, got {tuple(data.shape[1:])}")
        features: Tensor = self.encoder(data)
        return features.flatten(2).mT

    def _image(self, codes: Float[Tensor, "b k d"]) -> Float[Tensor, "b c y x"]:
        cells = codes.reshape(len(codes), self.cells, -1).mT  # codes of a cell side by side
        image: Tensor = self.decoder(cells.reshape(*cells.shape[:2], *self.grid))
        return image

    def forward(
        self,
        data: Float[Tensor, "b c y x"],
        class_ids: Int[Tensor, " b"] | None = None,
        *,
        noise: Noise | None = None,
    ) -> Encoded:
        """Encodes, quantises and decodes images.

        Units: distortion is the mean squared error in the squared unit of the data, also if the loss is absolute.
        """
        features = self._features(data)
        output: BottleneckOutput = self.bottleneck(features, noise=noise)
        reconstruction = self._image(output.codes)
        difference = reconstruction - data
        distortion = difference.square().flatten(1).mean(1)
        error = difference.abs() if self.loss == "l1" else distortion
        return Encoded(
            features=features,
            latents=output.latents,
            codes=output.codes,
            ids=output.ids,
            mask=torch.ones(output.codes.shape[:2], dtype=torch.bool, device=data.device),
            reconstruction=reconstruction,
            distortion=distortion,
            rate=output.rate,
            loss=error.mean() + output.loss,
        )

    def after_step(self, encoded: Encoded) -> None:
        """Updates the bottleneck's statistics, if it keeps any."""
        if isinstance(self.bottleneck, KeepsStatistics):
            self.bottleneck.after_step(encoded)

    def encode(self, data: Float[Tensor, "b c y x"], class_ids: Int[Tensor, " b"] | None = None) -> Int[Tensor, "b k"]:
        """The ids of the grid's cells, those of a cell adjacent.

        Raises: ValueError if the bottleneck's codes are continuous.
        """
        with torch.no_grad():
            ids = self.bottleneck(self._features(data)).ids
        if ids is None:
            raise ValueError("expected a bottleneck with ids, got one whose codes are continuous")
        return ids

    def decode(self, ids: Int[Tensor, "b k"], class_ids: Int[Tensor, " b"] | None = None) -> Float[Tensor, "b c y x"]:
        """The images of `ids`.

        Raises: ValueError if an id is absent or out of range, there are not `length` of them, or codes are continuous.
        """
        if not isinstance(self.bottleneck, DiscreteBottleneck):
            raise ValueError("expected a bottleneck with ids, got one whose codes are continuous")
        check_ids(ids, self.bottleneck.vocabulary)
        if ids.dim() != 2 or ids.shape[1] != self.length:
            raise ValueError(f"expected {self.length} ids a row, none of them absent, got {tuple(ids.shape)}")
        return self._image(self.bottleneck.lookup(ids))
