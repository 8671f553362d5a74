"""The codebook: features to their nearest entries.

Axes: b batch, n features of a sample, w feature width, v entries; a code is as wide as a feature.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from crt_vq.specs import VQ
from crtcore.kinds import Squeezed
from crtcore.noise import Noise


class Codebook(nn.Module):
    """Replaces each feature by its nearest code."""

    def __init__(self, spec: VQ) -> None:
        super().__init__()
        self.spec = spec
        self.width = spec.width
        self.vocabulary: int | None = spec.codes
        # Normal, so that directions are uniform on the sphere and none starts out of reach; small, so that one
        # optimiser step turns an entry far enough to follow its features.
        self.entries = nn.Parameter(torch.randn(spec.codes, spec.width) / 10)

    def compared(self, vectors: Float[Tensor, "... w"]) -> Float[Tensor, "... w"]:
        """Vectors as they are compared: scaled to length 1, or as they are."""
        return functional.normalize(vectors, dim=-1) if self.spec.compare == "cosine" else vectors

    def lookup(self, ids: Int[Tensor, "b n"]) -> Float[Tensor, "b n w"]:
        """The codes that `ids` name.

        Raises: IndexError if an id is absent or not under the number of codes.
        """
        return functional.embedding(ids, self.compared(self.entries))

    def nearest(self, features: Float[Tensor, "b n w"]) -> Int[Tensor, "b n"]:
        """The ids of the nearest codes, the smaller one of two as near."""
        codes = self.compared(self.entries.detach())
        half_distances = codes.square().sum(-1) / 2 - features.detach() @ codes.T  # b n v, less |features|^2 / 2
        return half_distances.argmin(-1)

    def forward(self, features: Float[Tensor, "b n w"], noise: Noise | None = None) -> Squeezed:
        """Nearest codes; the gradient passes straight through.

        Units: rate in nats, ln v for each feature; no noise is used.
        Raises: ValueError if w is not the width of a code.
        """
        if features.shape[-1] != self.width:
            raise ValueError(f"expected features of width {self.width}, got {features.shape[-1]}")
        # Half precision makes far entries tie: quantise in the entries' own.
        with torch.autocast(features.device.type, enabled=False):
            compared = self.compared(features.to(torch.promote_types(features.dtype, self.entries.dtype)))
            ids = self.nearest(compared)
            codes = self.lookup(ids)
            loss = (compared.detach() - codes).square().mean()
            loss = loss + self.spec.commitment * (compared - codes.detach()).square().mean()
        rate = compared.new_full((len(ids),), ids.shape[1] * math.log(self.spec.codes))
        # The added term is exactly 0, so that codes are the entries bit for bit.
        return Squeezed(codes.detach() + (compared - compared.detach()), compared, ids, rate, loss)
