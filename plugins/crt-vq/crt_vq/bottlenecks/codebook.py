"""The codebook: features to their nearest entries.

Axes: b batch, n features of a sample, w feature width, v entries; a code is as wide as a feature.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from crt_nn.ranges import check_features, check_ids
from crt_vq.bottlenecks.codebook_loss import codebook_loss
from crt_vq.bottlenecks.codebook_updates import CodebookUpdates
from crt_vq.bottlenecks.nearest import nearest
from crt_vq.bottlenecks.rotation import rotated
from crt_vq.bottlenecks.specs import VQ
from crt_vq.bottlenecks.uniform_rate import uniform_rate
from crtcore.kinds import BottleneckOutput, Encoded
from crtcore.noise import Noise


def first_entries(spec: VQ) -> Float[Tensor, "v w"]:
    """First values of the entries."""
    if spec.start == "uniform":
        return torch.rand(spec.codes, spec.width) * (2 / spec.codes) - 1 / spec.codes
    # Normal, so that directions are uniform on the sphere and every entry can be reached; small, so that one
    # optimiser step turns an entry far enough to follow its features.
    return torch.randn(spec.codes, spec.width) / 10


class Codebook(nn.Module):
    """Replaces each feature by its nearest code."""

    def __init__(self, spec: VQ) -> None:
        super().__init__()
        self.spec = spec
        self.width = spec.width
        self.vocabulary: int = spec.codes
        self.entries = nn.Parameter(first_entries(spec), requires_grad=not spec.decay)
        # Checkpoints store the statistics under this attribute's name.
        self.upkeep = CodebookUpdates(spec) if spec.decay or spec.patience or spec.start == "k-means" else None

    def normalised(self, vectors: Float[Tensor, "... w"]) -> Float[Tensor, "... w"]:
        """Vectors of length 1 if codes are compared by cosine, else the vectors unchanged."""
        return functional.normalize(vectors, dim=-1) if self.spec.compare == "cosine" else vectors

    def lookup(self, ids: Int[Tensor, "b n"]) -> Float[Tensor, "b n w"]:
        """The codes that `ids` name.

        Raises: ValueError if an id is absent or not under the number of codes.
        """
        check_ids(ids, self.vocabulary)
        return functional.embedding(ids, self.normalised(self.entries))

    def nearest(self, features: Float[Tensor, "b n w"]) -> Int[Tensor, "b n"]:
        """The ids of the nearest codes; ties go to the smaller id."""
        return nearest(features, self.normalised(self.entries.detach()))

    def forward(self, features: Float[Tensor, "b n w"], *, noise: Noise | None = None) -> BottleneckOutput:
        """Nearest codes; the gradient passes straight through, or rotated onto the code.

        Units: rate in nats, ln v for each feature; no noise is used.
        Raises: ValueError if w is not the width of a code, or a feature is not finite.
        """
        check_features(features, self.width)
        # Half precision makes distant entries tie, so quantise in the precision of the entries.
        with torch.autocast(features.device.type, enabled=False):
            latents = self.normalised(features.to(torch.promote_types(features.dtype, self.entries.dtype)))
            ids = self.nearest(latents)
            codes = functional.embedding(ids, self.normalised(self.entries))
            loss = codebook_loss(latents, codes, self.spec.commitment)
            through = rotated(latents, codes) if self.spec.gradient == "rotation" else latents
        rate = uniform_rate(latents, math.log(self.spec.codes))
        # The added term is exactly 0, so that codes are the entries bit for bit.
        return BottleneckOutput(codes.detach() + (through - through.detach()), latents, ids, rate, loss)

    @torch.no_grad()
    def after_step(self, encoded: Encoded) -> None:
        """Moving averages, restarts and the k-means start change entries, by the latents that are no padding.

        Raises: ValueError if there are no ids.
        """
        if self.upkeep is None:
            return
        if encoded.ids is None:
            raise ValueError("expected the ids of the latents, got None")
        present = encoded.mask
        self.entries.copy_(self.upkeep(self.entries.detach(), encoded.latents[present], encoded.ids[present]))
