"""SimVQ: a frozen codebook behind a learned linear map.

Axes: b batch, n features of a sample, w feature width, v codes; a code is as wide as a feature.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from crt_nn.ranges import check_features, check_ids
from crt_vq.bottlenecks.codebook_loss import codebook_loss
from crt_vq.bottlenecks.nearest import nearest
from crt_vq.bottlenecks.specs import SimVQ
from crt_vq.bottlenecks.uniform_rate import uniform_rate
from crtcore.kinds import BottleneckOutput
from crtcore.noise import Noise


class MappedCodebook(nn.Module):
    """Replaces each feature by its nearest code; a gradient step on one code moves all of them."""

    frozen: Tensor

    def __init__(self, spec: SimVQ) -> None:
        super().__init__()
        self.spec = spec
        self.width = spec.width
        self.vocabulary: int = spec.codes
        # Scale and bias as in the authors' code, github.com/youngsheen/SimVQ.
        self.register_buffer("frozen", torch.randn(spec.codes, spec.width) * spec.width**-0.5)
        self.map = nn.Linear(spec.width, spec.width)

    def table(self) -> Float[Tensor, "v w"]:
        """The codes, in the precision of the map also under autocast."""
        with torch.autocast(self.frozen.device.type, enabled=False):
            mapped: Tensor = self.map(self.frozen)
        return mapped

    def lookup(self, ids: Int[Tensor, "b n"]) -> Float[Tensor, "b n w"]:
        """The codes that `ids` name.

        Raises: ValueError if an id is absent or not under the number of codes.
        """
        check_ids(ids, self.vocabulary)
        return functional.embedding(ids, self.table())

    def forward(self, features: Float[Tensor, "b n w"], *, noise: Noise | None = None) -> BottleneckOutput:
        """Nearest mapped codes; the gradient passes straight through.

        Units: rate in nats, ln v for each feature; no noise is used.
        Raises: ValueError if w is not the width of a code, or a feature is not finite.
        """
        check_features(features, self.width)
        with torch.autocast(features.device.type, enabled=False):
            latents = features.to(torch.promote_types(features.dtype, self.frozen.dtype))
            table = self.table()
            ids = nearest(latents, table)
            codes = functional.embedding(ids, table)
            loss = codebook_loss(latents, codes, self.spec.commitment)
        rate = uniform_rate(latents, math.log(self.spec.codes))
        # The added term is exactly 0, so that codes equal those of `lookup`.
        return BottleneckOutput(codes.detach() + (latents - latents.detach()), latents, ids, rate, loss)
