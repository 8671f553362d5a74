"""Residual quantisation: one codebook for features, the next for the remaining residual, and so on.

Axes: b batch, n features of a sample, w feature width, k codes of a sample: all of a feature's in a row, coarse first.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from crt_nn.ranges import check_ids
from crt_vq.bottlenecks.codebook import Codebook
from crt_vq.bottlenecks.specs import VQ, ResidualVQ
from crtcore.kinds import BottleneckOutput
from crtcore.noise import Noise


class ResidualCodebooks(nn.Module):
    """Replaces each feature by codes whose sum approximates it."""

    def __init__(self, spec: ResidualVQ) -> None:
        super().__init__()
        self.spec = spec
        self.width = spec.width
        self.vocabulary: int = spec.codes
        book = VQ(codes=spec.codes, width=spec.width, commitment=spec.commitment, compare="euclidean")
        self.books = nn.ModuleList(Codebook(book) for _ in range(spec.depth))

    def book(self, level: int) -> Codebook:
        """The codebook of a level."""
        book = self.books[level]
        assert isinstance(book, Codebook)
        return book

    def lookup(self, ids: Int[Tensor, "b k"]) -> Float[Tensor, "b k w"]:
        """The codes that `ids` name, each in the codebook of its level.

        Raises: ValueError if a feature has too few ids, or an id is absent or too large.
        """
        check_ids(ids, self.vocabulary)
        if ids.shape[-1] % self.spec.depth:
            raise ValueError(f"expected a multiple of {self.spec.depth} ids a row, got {ids.shape[-1]}")
        depth = self.spec.depth
        codes = [self.book(level).lookup(ids[..., level::depth]) for level in range(depth)]
        return torch.stack(codes, 2).flatten(1, 2)

    def forward(self, features: Float[Tensor, "b n w"], *, noise: Noise | None = None) -> BottleneckOutput:
        """The codes of every feature; the gradient of their sum passes straight through the first.

        Units: rate in nats, the logarithm of the vocabulary for each code; no noise is used.
        Raises: ValueError if w is not the width of a code, or a feature is not finite.
        Source: Lee et al. (2022), arXiv:2203.01941, eq. 3 to 8, with losses of each level's own residual.
        """
        levels = []
        residual = features
        with torch.autocast(features.device.type, enabled=False):
            for level in range(self.spec.depth):
                levels.append(self.book(level)(residual))
                residual = levels[-1].latents - levels[-1].codes.detach()
        first, *deeper = levels
        codes = torch.stack([first.codes, *(level.codes.detach() for level in deeper)], 2)  # b n depth w
        latents = torch.stack([first.latents, *(level.latents.detach() for level in deeper)], 2)
        return BottleneckOutput(
            codes=codes.flatten(1, 2),
            latents=latents.flatten(1, 2),
            ids=torch.stack([level.ids for level in levels], 2).flatten(1, 2),
            rate=torch.stack([level.rate for level in levels]).sum(0),
            loss=torch.stack([level.loss for level in levels]).sum(),
        )
