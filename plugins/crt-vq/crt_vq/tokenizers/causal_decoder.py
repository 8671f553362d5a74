"""A causal decoder: each cell of an image from its own codes and those before it.

Axes: b batch, c image channels, y rows and x columns of an image, n cells in raster order, k codes of a sample, those
of a cell adjacent, d code width, w width of the decoder.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from crt_vq.tokenizers.grid import GridTokenizer
from crt_vq.tokenizers.wrapper_specs import CausalDecoder
from crtcore.errors import RunError
from crtcore.kinds import Bottleneck, Encoded, TokenizerSpec
from crtcore.noise import Noise


class CellDecoder(nn.Module):
    """A causal transformer from cells' codes to their pixels."""

    def __init__(self, spec: CausalDecoder, codes: int, grid: tuple[int, ...], shape: tuple[int, ...]) -> None:
        super().__init__()
        self.size = shape[1:]
        self.cell = tuple(side // count for side, count in zip(self.size, grid, strict=True))
        self.embed = nn.Linear(codes, spec.width)
        self.positions = nn.Parameter(torch.randn(math.prod(grid), spec.width) / 10)
        layer = partial(nn.TransformerEncoderLayer, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.ModuleList(layer(spec.width, spec.heads, 2 * spec.width) for _ in range(spec.layers))
        self.pixels = nn.Sequential(nn.LayerNorm(spec.width), nn.Linear(spec.width, shape[0] * math.prod(self.cell)))

    def forward(self, cells: Float[Tensor, "b n w"]) -> Float[Tensor, "b c y x"]:
        """The image whose cell i is made of cells 0 to i.

        Source: Wu et al. (2025), arXiv:2506.05289: patch i from the quantised tokens 1 to i.
        """
        hidden = self.embed(cells) + self.positions
        mask = nn.Transformer.generate_square_subsequent_mask(hidden.shape[1], hidden.device, hidden.dtype)
        for layer in self.layers:
            hidden = layer(hidden, src_mask=mask, is_causal=True)
        return functional.fold(self.pixels(hidden).mT, self.size, self.cell, stride=self.cell)


class Fixed(nn.Module):
    """A decoder that does not move the codes that it reads."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, codes: Float[Tensor, "b d rows columns"]) -> Float[Tensor, "b c y x"]:
        """The decoder's image, whose gradient ends at the codes."""
        image: Tensor = self.decoder(codes.detach())
        return image


class CausallyDecoded(nn.Module):
    """Another tokenizer, whose encoder and codes learn by the error of a causal decoder."""

    def __init__(
        self, spec: CausalDecoder, bottleneck: Bottleneck, sample: Tensor, vocabulary: int | None = None
    ) -> None:
        super().__init__()
        self.spec = spec
        inner = grid_tokenizer(spec.tokenizer, bottleneck, sample, "causal-decoder")
        inner.decoder = Fixed(inner.decoder)
        self.width, self.vocabulary, self.length, self.grid = inner.width, inner.vocabulary, inner.length, inner.grid
        self.causal = CellDecoder(spec, inner.code_width, inner.grid, inner.shape)
        self.inner = inner  # last, as `adversarial` takes the last weight for that of the images' decoder

    @property
    def bottleneck(self) -> Bottleneck:
        """The other tokenizer's."""
        return self.inner.bottleneck

    def forward(
        self,
        data: Float[Tensor, "b c y x"],
        class_ids: Int[Tensor, " b"] | None = None,
        *,
        noise: Noise | None = None,
    ) -> Encoded:
        """The other tokenizer's output, and the causal decoder's error in the loss.

        Reconstruction and distortion are those of the other tokenizer's decoder, so that no loss on them reaches the
        encoder.
        """
        encoded: Encoded = self.inner(data, noise=noise)
        cells = encoded.codes.reshape(len(data), self.inner.cells, -1)
        difference = self.causal(cells) - data
        error = difference.abs() if self.inner.loss == "l1" else difference.square()
        return encoded._replace(loss=encoded.loss + error.mean())

    def after_step(self, encoded: Encoded) -> None:
        """Updates the bottleneck's statistics, if it keeps any."""
        self.inner.after_step(encoded)

    def encode(self, data: Float[Tensor, "b c y x"], class_ids: Int[Tensor, " b"] | None = None) -> Int[Tensor, "b k"]:
        """The other tokenizer's ids."""
        return self.inner.encode(data)

    def decode(self, ids: Int[Tensor, "b k"], class_ids: Int[Tensor, " b"] | None = None) -> Float[Tensor, "b c y x"]:
        """The other tokenizer's images of `ids`.

        Raises: ValueError if an id is absent or out of range, there are not `length` of them, or codes are continuous.
        """
        return self.inner.decode(ids)


def grid_tokenizer(spec: TokenizerSpec, bottleneck: Bottleneck, sample: Tensor, name: str) -> GridTokenizer:
    """The tokenizer that another one wraps.

    Raises: RunError, which begins with `name`, if it has no grid of cells.
    """
    inner = spec.build(bottleneck, sample)
    if not isinstance(inner, GridTokenizer):
        raise RunError(f"{name}: expected a tokenizer with a grid of cells, such as 'conv', got {type(inner).__name__}")
    return inner
