"""Binary spherical quantisation: the sign of every channel, on the unit sphere.

Axes: b batch, n features of a sample, w channels; a code is as wide as a feature.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from crt_nn.ranges import check_features
from crt_vq.bottlenecks import bits
from crt_vq.bottlenecks.specs import BSQ
from crt_vq.bottlenecks.uniform_rate import uniform_rate
from crtcore.kinds import BottleneckOutput
from crtcore.noise import Noise


class BinarySphericalQuantizer(nn.Module):
    """Replaces each feature, scaled to length 1, by the nearest corner of the cube inscribed in the sphere."""

    unit: Tensor

    def __init__(self, spec: BSQ) -> None:
        super().__init__()
        self.spec = spec
        self.width = spec.width
        self.vocabulary: int = 2**spec.width
        # A floating-point buffer, so that codes follow `.double()` and the like.
        self.register_buffer("unit", torch.ones(()), persistent=False)

    def lookup(self, ids: Int[Tensor, "b n"]) -> Float[Tensor, "b n w"]:
        """The codes that `ids` name, each of length 1.

        Raises: ValueError if an id is absent or not under the vocabulary.
        """
        return bits.corners(bits.to_bits(ids, self.width), self.unit) / math.sqrt(self.width)

    def forward(self, features: Float[Tensor, "b n w"], *, noise: Noise | None = None) -> BottleneckOutput:
        """Scaled signs (0 counts as negative); the gradient passes straight through.

        Units: rate in nats, ln 2 for each channel; no noise is used.
        Raises: ValueError if w is not the number of channels, or a feature is not finite.
        """
        check_features(features, self.width)
        with torch.autocast(features.device.type, enabled=False):
            precise = features.to(torch.promote_types(features.dtype, self.unit.dtype))
            latents = functional.normalize(precise, dim=-1)
            positive = latents.detach() > 0
            corners = bits.corners(positive, latents) / math.sqrt(self.width)
            loss = self.spec.commitment * (latents - corners).square().mean()
            # -|feature - corner|^2 differs by 4 times this between the values of a bit.
            slopes = latents / math.sqrt(self.width)
            loss = loss + self.spec.entropy * bits.entropy_gap(4 * slopes / self.spec.temperature)
        rate = uniform_rate(latents, self.width * math.log(2))
        # The added term is exactly 0, so that codes are the corners bit for bit.
        return BottleneckOutput(corners + (latents - latents.detach()), latents, bits.to_ids(positive), rate, loss)
