"""The smallest sound tokenizer, regulariser and dataset of ids, for tests of other parts.

Axes: b batch, c image channels, y rows and x columns of an image, n patches in raster order, w feature width,
d code width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import ClassVar

import attrs
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from crtcore.errors import in_one_line
from crtcore.kinds import (
    Batch,
    Bottleneck,
    DatasetSpec,
    DiscreteBottleneck,
    Done,
    Encoded,
    ExecutorSpec,
    Json,
    RegularizerOutput,
    RegularizerSpec,
    Tokenizer,
    TokenizerSpec,
    Work,
)
from crtcore.noise import Noise
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
        self.vocabulary = bottleneck.vocabulary
        self.length = sample[0].numel() // pixels
        self.bottleneck = bottleneck
        self.inward = nn.Linear(pixels, self.width)
        self.outward = nn.Linear(self.width, pixels)

    def _features(self, data: Float[Tensor, "b c y x"]) -> Float[Tensor, "b n w"]:
        features: Tensor = self.inward(functional.unfold(data, self.spec.side, stride=self.spec.side).mT)
        return features

    def _image(self, codes: Float[Tensor, "b n w"]) -> Float[Tensor, "b c y x"]:
        return functional.fold(self.outward(codes).mT, self.size, self.spec.side, stride=self.spec.side)

    def forward(
        self,
        data: Float[Tensor, "b c y x"],
        class_ids: Int[Tensor, " b"] | None = None,
        *,
        noise: Noise | None = None,
    ) -> Encoded:
        """The whole pass."""
        features = self._features(data)
        codes, latents, ids, rate, loss = self.bottleneck(features, noise=noise)
        image = self._image(codes)
        distortion = (image - data).square().flatten(1).mean(1)
        mask = torch.ones(codes.shape[:2], dtype=torch.bool)
        return Encoded(features, latents, codes, ids, mask, image, distortion, rate, distortion.mean() + loss)

    def encode(self, data: Float[Tensor, "b c y x"], class_ids: Int[Tensor, " b"] | None = None) -> Int[Tensor, "b n"]:
        """The ids of the patches."""
        ids = self.bottleneck(self._features(data)).ids
        assert ids is not None
        return ids

    def decode(self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None) -> Float[Tensor, "b c y x"]:
        """The images that `ids` encode."""
        assert isinstance(self.bottleneck, DiscreteBottleneck)
        return self._image(self.bottleneck.lookup(ids))


@attrs.frozen(kw_only=True)
class Chain(RegularizerSpec):
    """The error of the best linear prediction of each latent from the one before it."""

    implementation: ClassVar[str] = "crt_laws.toys:linear_chain"


class LinearChain(nn.Module):
    """Penalises latents that a linear map of the one before does not predict."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.map = nn.Linear(width, width, bias=False)

    def forward(self, data: Tensor, encoded: Encoded, progress: float) -> RegularizerOutput:
        """The mean squared error, with the map or the latents detached."""
        latents, weight = encoded.latents, self.map.weight
        present = encoded.mask[:, 1:]

        def error(latents: Tensor, weight: Tensor) -> Tensor:
            errors = (latents[:, :-1] @ weight - latents[:, 1:]).square().mean(-1)
            return errors[present].sum() / present.sum().clamp(min=1)

        loss, own = error(latents, weight.detach()), error(latents.detach(), weight)
        return RegularizerOutput(progress * loss, own, {"prediction_error": own.item()})


def linear_chain(_: Chain, tokenizer: Tokenizer) -> LinearChain:
    """The regulariser for a tokenizer's codes."""
    return LinearChain(tokenizer.width)


SIZE = 20
"""Samples of each split of `Runs`, and its vocabulary."""


@attrs.frozen(kw_only=True)
class Runs(DatasetSpec):
    """Rows of one repeated id: one id in each row to train on, two to validate on, three to test on."""

    implementation: ClassVar[str] = "crt_laws.toys:RunsOfIds"
    form: ClassVar[str] = "ids"


class RunsOfIds:
    """Sample i of a split repeats id i."""

    sizes: ClassVar[dict[str, int]] = dict.fromkeys(("train", "validation", "test"), SIZE)
    classes, levels, checksum = None, None, "0" * 64
    vocabulary: int | None = SIZE

    def __init__(self, spec: Runs) -> None:
        self.spec = spec

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Batch:
        """The rows, with absent ids at the right end.

        Raises: IndexError.
        """
        if ((indices < 0) | (indices >= SIZE)).any():
            raise IndexError(f"expected indices from 0 to {SIZE - 1}, got {indices.tolist()}")
        present = torch.arange(4) <= list(self.sizes).index(split)
        return Batch(indices[:, None].where(present, -1), None, None)


@attrs.frozen(kw_only=True)
class Here(ExecutorSpec):
    """Runs work in this process, one piece after another."""

    implementation: ClassVar[str] = "crt_laws.toys:Inline"


class Inline:
    """Runs every piece in this process, once the one before it has been taken."""

    def __init__(self, spec: Here) -> None:
        self.spec = spec

    def run(self, work: Work, pieces: Sequence[Json], report: Callable[[int, Json], None]) -> Iterator[Done]:
        """Runs all pieces; a closed iterator starts no further one."""
        for place, piece in enumerate(pieces):
            try:
                done = Done(place, work(piece, partial(report, place)), None)
            except Exception as error:
                done = Done(place, None, in_one_line(error))
            yield done
